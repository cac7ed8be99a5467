import { badInput } from "../../base/errors.js";
import { nearestNames, plainName } from "../../base/names.js";
import type { DeviceRecord } from "../record.js";
import { type DataSheet, recordOf } from "./data-sheet.js";
import { machineSheets } from "./machines.js";
import { nvidiaSheets } from "./nvidia.js";
import { rtxSheets } from "./nvidia-rtx.js";
import { acceleratorSheets } from "./other-gpus.js";

const sheets: readonly DataSheet[] = [...nvidiaSheets, ...rtxSheets, ...acceleratorSheets, ...machineSheets];

/** Every device that can be named without a file. */
export const devices: readonly DeviceRecord[] = sheets.map(recordOf);

/**
 * The device of that name or alias; case, spaces and punctuation do not matter.
 *
 * @param known where to look, for callers that have more devices than the catalog
 * @throws NsquaredError `device-unknown`, with the nearest names
 */
export function findDevice(name: string, known: readonly DeviceRecord[] = devices): DeviceRecord {
  const wanted = plainName(name);
  const found = known.find((device) => [device.name, ...device.aliases].some((other) => plainName(other) === wanted));
  if (found !== undefined) return found;
  const names = known.map((device) => device.name);
  const near = nearestNames(
    name,
    known.flatMap((device) => [device.name, ...device.aliases]),
  );
  throw badInput("device-unknown", {
    where: "--on",
    key: "device",
    found: name,
    expected:
      near.length > 0
        ? `perhaps ${near.join(", ")}? ${names.length} devices are known, and local (this machine): see nsquared predict --help`
        : `one of ${names.join(", ")}, local (this machine)`,
  });
}
