import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { shipLicences } from "./licences.ts";

/** The folder that the wheel ships; it is never committed. */
const BUILT = "../src/hepatica/resources/web";

export default defineConfig({
  base: "./",
  plugins: [react(), shipLicences(fileURLToPath(new URL(".", import.meta.url)))],
  build: {
    outDir: BUILT,
    emptyOutDir: true,
    target: "es2023",
    sourcemap: false,
    // The server's policy allows no data: scripts and no inline modules.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
  test: { environment: "node", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
});
