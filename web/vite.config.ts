import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../sandloop/web_static",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    // Monaco, which is loaded when an editor is needed.
    chunkSizeWarningLimit: 5000,
    // Nothing as data: in scripts, where the Content-Security-Policy would have to let it through.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/auth": server, "/code": server, "/agents": server, "/sandboxes": server, "/health": server },
  },
});
