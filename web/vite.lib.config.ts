import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The embedding page brings React; everything else is in the package, Monaco in a chunk of its own.
export default defineConfig({
  plugins: [react()],
  publicDir: false,
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 5000,
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "sandloop-web", cssFileName: "sandloop-web" },
    rolldownOptions: { external: ["react", "react-dom", "react/jsx-runtime"] },
  },
  worker: { format: "es" },
});
