export type * from "./data.js";
export { htmlReport } from "./html.js";
export { terminalReport } from "./terminal.js";
export { answer } from "./words.js";
