import { useEffect, useRef } from "react";
import temml from "temml";
import "temml/dist/Temml-Local.css";

const MOST = 20_000;

/** A formula as MathML. Commands that could make links or load anything are off (`trust`). */
export default function Latex({ text }: { text: string }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!box.current) return;
    const bare = text.trim().replace(/^\$\$?|\$\$?$|^\\[[(]|\\[\])]$/g, "");
    if (bare.length > MOST) box.current.textContent = bare.slice(0, MOST);
    else {
      temml.render(bare, box.current, { displayMode: true, throwOnError: false, trust: false, maxExpand: 500 });
    }
  }, [text]);
  return <div className="latex" ref={box} />;
}
