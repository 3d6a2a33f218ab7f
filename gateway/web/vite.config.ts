import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The gateway puts a fresh nonce here for each page: dashboard.rs.
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy allows no data: script or font
    modulePreload: { polyfill: false },
    // Browsers with light-dark(), which would be lowered otherwise: all since spring 2024.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    chunkSizeWarningLimit: 600, // xterm.js, on its own tab
  },
  server: {
    proxy: {
      "/api": { target: process.env.DEVGATE_URL ?? "https://localhost:8443", secure: false, ws: true },
    },
  },
});
