import { describe, expect, test } from "vitest";
import { machineSchema } from "../runs/schema.js";
import { type MachineSources, readMachine } from "./environment.js";

function sources(files: Record<string, string>, change: Partial<MachineSources> = {}): MachineSources {
  return {
    cpus: () => [{ model: "Some  CPU @ 2.00GHz " }],
    parallelism: () => 8,
    memoryBytes: () => 2 ** 34,
    constrainedBytes: () => 2 ** 64,
    load: () => 0.25,
    system: () => "linux 6.1 x64",
    node: () => "v20.20.0",
    text: (path) => Promise.resolve(files[path] ?? null),
    names: (path) => {
      const inside = Object.keys(files).filter((file) => file.startsWith(`${path}/`));
      return Promise.resolve([...new Set(inside.map((file) => file.slice(path.length + 1).split("/")[0] ?? ""))]);
    },
    ...change,
  };
}

const supply = "/sys/class/power_supply";
const battery = { [`${supply}/BAT0/type`]: "Battery\n" };

describe("the machine", () => {
  test("this one is read into a valid record", async () => {
    const machine = await readMachine();
    expect(machineSchema.parse(machine)).toEqual(machine);
    expect(machine.node).toBe(process.version);
  });

  test("is described without guesses where nothing more can be read", async () => {
    expect(await readMachine(sources({}))).toEqual({
      cpu: "Some CPU @ 2.00GHz",
      cores: 8,
      memoryBytes: 2 ** 34,
      os: "linux 6.1 x64",
      node: "v20.20.0",
      governor: null,
      power: null,
      load: 0.25,
    });
    expect(await readMachine(sources({}, { cpus: () => [], load: () => null }))).toMatchObject({
      cpu: "unknown",
      load: null,
    });
  });

  test("in a container has the container's processors and memory", async () => {
    const limited = sources({ "/sys/fs/cgroup/cpu.max": "150000 100000\n" }, { constrainedBytes: () => 2 ** 30 });
    expect(await readMachine(limited)).toMatchObject({ cores: 2, memoryBytes: 2 ** 30 });
    expect(await readMachine(sources({ "/sys/fs/cgroup/cpu.max": "max 100000\n" }))).toMatchObject({ cores: 8 });
  });

  test("tells its governor and where its power comes from", async () => {
    const governor = { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n" };
    const mains = (online: string) => ({ [`${supply}/AC/type`]: "Mains\n", [`${supply}/AC/online`]: online });
    expect(await readMachine(sources({ ...governor, ...battery, ...mains("1\n") }))).toMatchObject({
      governor: "powersave",
      power: "mains",
    });
    expect(await readMachine(sources({ ...battery, ...mains("0\n") }))).toMatchObject({ power: "battery" });
    expect(await readMachine(sources(battery))).toMatchObject({ power: null });
  });
});
