/** Small tools for writing and spoiling binary files. */

/** A file made to do harm, or a damaged one. */
export interface HostileFile {
  readonly name: string;
  readonly bytes: Buffer;
  /** What the client calls it. */
  readonly fileName?: string;
  /** What the client says that it is. */
  readonly type?: string;
}

export function u16be(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u32le(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** One byte per character. */
export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A copy with other bytes from `offset` on. */
export function patched(bytes: Buffer, offset: number, replacement: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.set(replacement.subarray(0, Math.max(0, copy.length - offset)), offset);
  return copy;
}

/** A copy with other bytes at `skip` bytes behind the first occurrence of `mark`; an Error where the mark is missing. */
export function patchedBehind(bytes: Buffer, mark: string, skip: number, replacement: Buffer): Buffer {
  const at = bytes.indexOf(latin1(mark));
  if (at < 0) throw new Error(`the file has no ${mark}`);
  return patched(bytes, at + mark.length + skip, replacement);
}

/** A copy with more bytes inserted at `offset`. */
export function inserted(bytes: Buffer, offset: number, more: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, offset), more, bytes.subarray(offset)]);
}

/** An ISO box: its size, its four-letter type, its content. */
export function box(type: string, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([u32be(8 + body.length), latin1(type), body]);
}

/** A RIFF chunk, padded to an even length. */
export function riffChunk(type: string, content: Buffer): Buffer {
  return Buffer.concat([latin1(type), u32le(content.length), content, Buffer.alloc(content.length % 2)]);
}

/**
 * Numbers in [0, 1) that are the same for the same seed: a linear congruential generator modulo 2^48 whose upper bits are used.
 */
export function seededRandom(seed: number): () => number {
  const modulus = 2n ** 48n;
  let state = (BigInt(seed) * 2_654_435_761n + 11n) % modulus;
  return () => {
    state = (state * 25_214_903_917n + 11n) % modulus;
    return Number(state >> 16n) / 2 ** 32;
  };
}

export function randomBytes(length: number, random: () => number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => Math.floor(random() * 256)));
}
