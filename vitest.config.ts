import { defineConfig } from "vitest/config";
import { usualGpu } from "./test/support/vulkan.js";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // Two workers: tests that run models use several threads each.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    env: { ...usualGpu() },
  },
});
