/** Media and models of others, which tests may use where they are and which the repository does not hold. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = join(
  process.env.DEEPFAKE_SHARED ?? resolve(import.meta.dirname, '..', '..', '..', 'shared'),
  'media',
);

/** @returns for the `skip` of a test: a line that says what is missing, or false */
export function withoutSharedMedia(path: string): string | false {
  return existsSync(join(folder, path))
    ? false
    : `${path} is not there; DEEPFAKE_SHARED names the folder that has media/`;
}

export function sharedMedia(...path: readonly string[]): string {
  return join(folder, ...path);
}
