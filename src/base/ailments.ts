/** What can be wrong with a server, beside its model: names for those who cause it and for those who find it. */
export const ailments = [
  "prefix-cache",
  "fixed-overhead",
  "padding",
  "outside-time",
  "unfused",
  "regather",
  "memory-pressure",
  "throttling",
  "queueing",
  "idle-window",
] as const;
export type Ailment = (typeof ailments)[number];
