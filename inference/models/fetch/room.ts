/** What is on a volume, and whether a package fits before any of it is written. */
import { stat, statfs } from 'node:fs/promises';
import { FetchError } from './errors.ts';

export interface Need {
  /** Bytes of what is fetched. */
  readonly totalBytes: number;
  /** Bytes that have yet to be written to the volume. */
  readonly writtenBytes: number;
}

/** @throws FetchError PackageTooLarge, VolumeFull */
export function refuseOversize(need: Need, limits: { maxBytes: number; freeBytes: number }): void {
  if (need.totalBytes > limits.maxBytes) {
    throw new FetchError(
      'PackageTooLarge',
      `the package has ${need.totalBytes} bytes; the limit is ${limits.maxBytes} bytes`,
    );
  }
  if (need.writtenBytes > limits.freeBytes) {
    throw new FetchError(
      'VolumeFull',
      `the package needs ${need.writtenBytes} more bytes on the volume, which has ${limits.freeBytes} left; give the model a larger one`,
    );
  }
}

/** Bytes that this user may still write below `directory`. */
export async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** Bytes of a file; 0 where there is none. */
export async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
