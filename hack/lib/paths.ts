/** Where this checkout and its caches lie. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const REPOSITORY = resolve(import.meta.dirname, '../..');

/** `${XDG_CACHE_HOME:-$HOME/.cache}/deepfake-operator`: everything in it can be made again. */
export function cacheDir(...segments: readonly string[]): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'deepfake-operator', ...segments);
}
