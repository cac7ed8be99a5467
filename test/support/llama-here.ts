/** Whether the lock file installs llama.cpp's compiled code: for Linux alone, to keep installing small. */
export const llamaHere = process.platform === "linux";
