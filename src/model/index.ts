export { builtInModel, builtInNames } from "./builtin/models.js";
export { readConfig } from "./hf/read-config.js";
export { loadModel, readModel } from "./load.js";
export { type FileType, type WeightStorage, fileTypes } from "./storage.js";
export type * from "./types.js";
