import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const built = new URL("../dist/", import.meta.url).pathname;

export default defineConfig({
  root: new URL(".", import.meta.url).pathname,
  base: "./",
  plugins: [react()],
  resolve: {
    alias: { "sandloop-web/style.css": `${built}sandloop-web.css`, "sandloop-web": `${built}sandloop-web.js` },
    dedupe: ["react", "react-dom"],
  },
  build: { outDir: "dist", emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 5000 },
});
