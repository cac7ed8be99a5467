import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import type { Machine } from "../runs/schema.js";

/** Where facts about the machine come from; tests hand in their own. */
export interface MachineSources {
  readonly cpus: () => readonly { readonly model: string }[];
  readonly parallelism: () => number;
  readonly memoryBytes: () => number;
  /** Bytes that a container allows; 0 or nothing where there is no limit. */
  readonly constrainedBytes: () => number | undefined;
  readonly load: () => number | null;
  readonly system: () => string;
  readonly node: () => string;
  /** Text of a small file, or null. */
  readonly text: (path: string) => Promise<string | null>;
  /** Names in a folder; empty where it cannot be read. */
  readonly names: (path: string) => Promise<readonly string[]>;
}

const systemSources: MachineSources = {
  cpus: () => os.cpus(),
  parallelism: () => os.availableParallelism(),
  memoryBytes: () => os.totalmem(),
  constrainedBytes: () => process.constrainedMemory(),
  // Windows keeps no load average, and Node says 0 there.
  load: () => (process.platform === "win32" ? null : (os.loadavg()[0] ?? null)),
  system: () => `${os.platform()} ${os.release()} ${os.arch()}`,
  node: () => process.version,
  text: async (path) => {
    try {
      return await readFile(path, "utf8");
    } catch {
      return null;
    }
  },
  names: async (path) => {
    try {
      return await readdir(path);
    } catch {
      return [];
    }
  },
};

const supplies = "/sys/class/power_supply";

/** `mains` or `battery` on Linux, null where the kernel tells nothing (servers, containers, other systems). */
async function powerOf(sources: MachineSources): Promise<Machine["power"]> {
  let battery = false;
  let mainsOffline = false;
  for (const name of await sources.names(supplies)) {
    const type = (await sources.text(`${supplies}/${name}/type`))?.trim();
    if (type === "Battery") battery = true;
    if (type !== "Mains") continue;
    if ((await sources.text(`${supplies}/${name}/online`))?.trim() === "1") return "mains";
    mainsOffline = true;
  }
  return battery && mainsOffline ? "battery" : null;
}

/** Processors that a cgroup (version 2) grants: `max 100000` is no limit, `150000 100000` is one and a half. */
async function grantedCores(sources: MachineSources): Promise<number> {
  const [quota, period] = ((await sources.text("/sys/fs/cgroup/cpu.max")) ?? "").trim().split(/\s+/).map(Number);
  if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return Number.POSITIVE_INFINITY;
  return Math.max(1, Math.ceil(quota / period));
}

/** The machine as it is now, for the run's header. Never fails: what cannot be read is null. */
export async function readMachine(sources: MachineSources = systemSources): Promise<Machine> {
  const total = sources.memoryBytes();
  const allowed = sources.constrainedBytes() ?? 0;
  const governor = await sources.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return {
    cpu: sources.cpus()[0]?.model.trim().replace(/\s+/g, " ") || "unknown",
    cores: Math.min(Math.max(1, sources.parallelism()), await grantedCores(sources)),
    memoryBytes: allowed > 0 && allowed < total ? allowed : total,
    os: sources.system(),
    node: sources.node(),
    governor: governor?.trim() || null,
    power: await powerOf(sources),
    load: sources.load(),
  };
}
