/** API keys. Only their hashes stay in memory, and a comparison takes the same time whatever the key. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** @returns whether a presented key is one of `keys`; always true when `keys` is undefined (authentication is off) */
export function keyChecker(keys: readonly string[] | undefined): (presented: unknown) => boolean {
  if (keys === undefined) return () => true;
  const hashes = keys.map(sha256);
  return (presented) => {
    if (typeof presented !== 'string') return false;
    const hash = sha256(presented);
    return hashes.map((known) => timingSafeEqual(known, hash)).includes(true);
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
