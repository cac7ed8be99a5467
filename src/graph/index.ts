export { buildGraph, defaultGraphOptions } from "./build.js";
export type * from "./types.js";
