/** The boxes of an ISO base media file (ISO/IEC 14496-12) over bytes in memory. Sizes are claims: nothing is read that a box does not hold. */

/** Why the frames of a file are taken from the whole file. No error of the file: the reason is for tests and for whoever wonders. */
export class Unusual extends Error {
  override readonly name = 'Unusual';
}

export interface Box {
  readonly type: string;
  /** With its head. */
  readonly whole: Buffer;
  readonly body: Buffer;
}

/** More than any recorder writes into one box. */
const maxChildren = 1024;

/** @throws Unusual where a size does not fit */
export function boxesIn(bytes: Buffer): Box[] {
  const boxes: Box[] = [];
  // QuickTime ends some lists of boxes with a zero.
  for (let at = 0; at + 8 <= bytes.length; ) {
    const head = boxHead(bytes.subarray(at, at + 16));
    const end = head && at + head.size;
    if (head === undefined || end === undefined || end > bytes.length || boxes.length >= maxChildren)
      throw new Unusual('the boxes of its index do not fit into each other');
    const whole = bytes.subarray(at, end);
    boxes.push({ type: head.type, whole, body: whole.subarray(head.headBytes) });
    at = end;
  }
  return boxes;
}

/**
 * @param head the first 16 bytes of a box, or 8 where it is no longer
 * @returns undefined for a size below the head's own, and for 0, which says "to the end"
 */
export function boxHead(
  head: Buffer,
): { readonly type: string; readonly size: number; readonly headBytes: number } | undefined {
  if (head.length < 8) return undefined;
  const type = head.toString('latin1', 4, 8);
  const short = head.readUInt32BE(0);
  if (short !== 1) return short < 8 ? undefined : { type, size: short, headBytes: 8 };
  const size = head.length < 16 ? 0 : Number(head.readBigUInt64BE(8));
  return size < 16 || !Number.isSafeInteger(size) ? undefined : { type, size, headBytes: 16 };
}

/** The boxes in a box, by their type. */
export class Children {
  readonly #boxes: readonly Box[];
  readonly #parent: string;

  constructor(parent: string, bytes: Buffer) {
    this.#parent = parent;
    this.#boxes = boxesIn(bytes);
  }

  all(type: string): readonly Box[] {
    return this.#boxes.filter((box) => box.type === type);
  }

  /** @throws Unusual where there are several */
  optional(type: string): Box | undefined {
    const [first, second] = this.all(type);
    if (second !== undefined) throw new Unusual(`there is more than one ${type} in its ${this.#parent}`);
    return first;
  }

  /** @throws Unusual where there is none or more than one */
  one(type: string): Box {
    const box = this.optional(type);
    if (box === undefined) throw new Unusual(`there is no ${type} in its ${this.#parent}`);
    return box;
  }

  childrenOf(type: string): Children {
    return new Children(type, this.one(type).body);
  }

  /** @throws Unusual where one of these is there */
  refuse(...types: readonly string[]): void {
    const found = this.#boxes.find(({ type }) => types.includes(type));
    if (found !== undefined) throw new Unusual(`there is a ${found.type} in its ${this.#parent}`);
  }
}

/**
 * The number of entries of a table: version and flags (4 bytes), the number (4 bytes), entries.
 * @throws Unusual where the box is too small for them
 */
export function entryCount({ type, body }: Box, entryBytes: number, at = 4): number {
  const count = body.length < at + 4 ? Infinity : body.readUInt32BE(at);
  if (at + 4 + count * entryBytes > body.length) throw new Unusual(`its ${type} holds less than it says`);
  return count;
}

/** A box around its content. */
export function box(type: string, ...content: readonly Uint8Array[]): Buffer {
  const size = content.reduce((sum, { length }) => sum + length, 8);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(size, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, ...content], size);
}
