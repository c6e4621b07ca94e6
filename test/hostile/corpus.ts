/** Every hostile file: what the programs behind the pod have been attacked with, rebuilt from code. */
import type { HostileFile } from './bytes.ts';
import { hostileImages } from './hostile-images.ts';
import { hostileOthers } from './hostile-others.ts';
import { hostileSounds } from './hostile-sounds.ts';
import { hostileVideos } from './hostile-videos.ts';
import { boundariesOf } from './structure.ts';
import { type ValidFiles, validFiles } from './valid-files.ts';

/** Cuts of one file, spread over its structure. */
const maxCuts = 12;

/** @param address `127.0.0.1:port` of a listener that nothing may ever contact */
export async function hostileCorpus(address: string): Promise<HostileFile[]> {
  const valid = await validFiles();
  return [
    ...truncations(valid),
    ...(await hostileImages(valid)),
    ...hostileSounds(valid),
    ...hostileVideos(valid, address),
    ...hostileOthers(valid, address),
  ];
}

/** Every valid file, cut where a part of it begins and a few bytes later. */
function truncations(valid: ValidFiles): HostileFile[] {
  return Object.entries(valid).flatMap(([name, { bytes, container }]) => {
    const boundaries = boundariesOf(bytes, container);
    const step = Math.max(1, Math.ceil(boundaries.length / maxCuts));
    const cuts = boundaries.filter((_, index) => index % step === 0).flatMap((at) => [at, at + 5]);
    return [...new Set([...cuts, bytes.length - 1])]
      .filter((cut) => cut > 0 && cut < bytes.length)
      .map((cut) => ({
        name: `${name} cut after ${cut} of ${bytes.length} bytes`,
        bytes: bytes.subarray(0, cut),
      }));
  });
}
