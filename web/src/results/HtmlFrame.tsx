import { useEffect, useRef, useState } from "react";
import { useClient } from "../app/session";

const REPORT = `<script>(() => {
  const tell = () => parent.postMessage({ sandloopHeight: document.documentElement.scrollHeight }, "*");
  new ResizeObserver(tell).observe(document.documentElement);
  addEventListener("load", tell);
})();</script>`;

/** The frame's own document has the same policy from the server. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";

const STYLE = `<style>
  :root { font: 14px/1.5 system-ui, sans-serif; color: #1c1c22; background: #fff; }
  body { margin: 12px; } img, svg, canvas { max-width: 100%; }
  table { border-collapse: collapse; font-size: 13px; } th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #e4e4ea; }
</style>`;

const LEAST = 40;
const MOST = 640;

/**
 * HTML that a sandbox has made, in a frame of an origin of its own. See public/frame.html: it may run its scripts, and
 * reach neither this page, nor its cookies and storage, nor any server.
 */
export function HtmlFrame({ html }: { html: string }) {
  const { isOwnOrigin } = useClient();
  const frame = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(120);
  useEffect(() => {
    const onMessage = (event: MessageEvent) => {
      const target = frame.current?.contentWindow;
      if (!target || event.source !== target) return;
      if (event.data?.ready === true) {
        target.postMessage({ html: documentOf(html) }, "*");
        return;
      }
      const told = event.data?.height ?? event.data?.sandloopHeight;
      if (Number.isFinite(told)) setHeight(Math.min(MOST, Math.max(LEAST, Math.ceil(told))));
    };
    window.addEventListener("message", onMessage);
    return () => window.removeEventListener("message", onMessage);
  }, [html]);
  return (
    <iframe
      ref={frame}
      key={html}
      className="html-frame"
      title="HTML result"
      sandbox="allow-scripts"
      // A page of another origin has no such document; there the inner frame stands alone.
      {...(isOwnOrigin ? { src: "/frame.html" } : { srcDoc: documentOf(html) })}
      style={{ height }}
    />
  );
}

function documentOf(html: string): string {
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  return `<!doctype html><meta charset="utf-8">${policy}${STYLE}${html}${REPORT}`;
}
