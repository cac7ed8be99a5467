import { badInput } from "../base/errors.js";
import type { Seconds } from "../base/units.js";
import type { DeviceRecord } from "./record.js";

/** What joins devices that share a model, as each of them sees it. */
export interface Link {
  readonly name: string;
  /** Bytes/s that one device sends, of its own data. */
  readonly bandwidth: number;
  /** Seconds of one step in which devices wait for each other. */
  readonly latency: Seconds;
  readonly uncertain: boolean;
}

/*
 * NCCL reaches 365 to 370 of the 450 GB/s of one direction of NVLink 4, the same from 2 to 8 GPUs (github.com/NVIDIA/nccl
 * issue 1455; its maintainer, nccl-tests issue 212: about 20 % is protocol). Taken for other links, too.
 */
const share = 0.82;
/*
 * A small all-reduce of two H100 takes 6 µs inside a CUDA graph (github.com/NVIDIA/nccl issue 1259): two steps, there and
 * back. Taken for other links, too; PCIe without peer access is slower.
 */
const step: Seconds = 3e-6;
/** Standard deviation of log seconds: algorithms, topologies and what else uses the link. */
export const networkSpread = 0.4;

/**
 * The link between devices of one kind.
 *
 * @param stated bytes/s of one direction that replace the record's
 * @throws NsquaredError `no-interconnect` where neither says how fast it is
 */
export function linkOf(device: DeviceRecord, stated: number | null = null): Link {
  const { interconnect } = device;
  if (stated !== null) return { name: "stated", bandwidth: stated * share, latency: step, uncertain: false };
  if (interconnect == null) {
    throw badInput("no-interconnect", {
      where: "--on",
      key: device.name,
      expected: `one device only, or --interconnect <GB/s>: how fast its devices are joined is not known`,
    });
  }
  const { name, bandwidth } = interconnect;
  return { name, bandwidth: bandwidth.value * share, latency: step, uncertain: bandwidth.uncertain };
}

/**
 * How devices exchange data. `all-reduce`: all get the sum; `all-gather`: all get what each has a part of; `all-to-all`: each
 * sends each its share; `send`: one to the next.
 */
export type Collective = "all-reduce" | "all-gather" | "all-to-all" | "send";

/** Seconds of a collective: affine in the bytes. */
export interface CollectiveTime {
  readonly latency: Seconds;
  readonly perByte: number;
}

/**
 * Seconds of a collective among p devices, per byte of what the operator makes (all-reduce, all-gather), of what one
 * device holds (all-to-all) or sends (send).
 *
 * Ring all-reduce moves 2(p − 1)/p of the bytes over each link, all-gather and all-to-all (p − 1)/p (Patarasuk and Yuan,
 * J. Parallel Distrib. Comput. 69, 2009); short messages take a tree's 2⌈log₂ p⌉ or ⌈log₂ p⌉ steps.
 */
export function collectiveTime(kind: Collective, link: Link, devices: number): CollectiveTime {
  if (devices <= 1) return { latency: 0, perByte: 0 };
  const part = (devices - 1) / devices;
  const depth = Math.ceil(Math.log2(devices));
  switch (kind) {
    case "all-reduce":
      return { latency: 2 * depth * link.latency, perByte: (2 * part) / link.bandwidth };
    case "all-gather":
      return { latency: depth * link.latency, perByte: part / link.bandwidth };
    case "all-to-all":
      return { latency: depth * link.latency, perByte: part / link.bandwidth };
    case "send":
      return { latency: link.latency, perByte: 1 / link.bandwidth };
  }
}
