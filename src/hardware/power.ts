import type { DeviceRecord } from "./record.js";

/** How sharply power takes over from the peak: the exponent of the norm of the two times. */
const corner = 4;

/**
 * Tera-operations per joule at which a device would run 8-bit products (twice the 16-bit rate where it states none) at its
 * peak and its design power; null where its power is not known.
 */
export function peakPerJoule({ peaks, tdp }: Pick<DeviceRecord, "peaks" | "tdp">): number | null {
  const peak = peaks.int8?.value ?? 2 * (peaks.float16?.value ?? peaks.bfloat16?.value ?? 0);
  return tdp === undefined || tdp === null || peak === 0 ? null : peak / tdp.value / 1e12;
}

/**
 * How many times longer products take because the device may not draw the power that they would need at its peak: data sheets
 * state peaks at boost clocks, and boards of one generation with more cores at the same power run them at lower clocks.
 *
 * @param perJoule the device's `peakPerJoule` @param sustained tera-operations per joule that products reach; 0 where not known
 */
export function powerLimit(perJoule: number | null, sustained: number): number {
  if (perJoule === null || sustained === 0) return 1;
  return (1 + (perJoule / sustained) ** corner) ** (1 / corner);
}
