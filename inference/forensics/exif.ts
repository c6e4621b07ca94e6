/**
 * What a camera or a program wrote beside the pixels. Where a picture was taken is nobody's business: only that the file says it. A handful of
 * entries of three directories are read and no more: readers of all of EXIF let a small block claim arrays over itself thousands of times.
 */

export interface ExifFacts {
  readonly present: boolean;
  readonly make: string | null;
  readonly model: string | null;
  readonly software: string | null;
  /** As the file has it, without a time zone: 2024-05-01T12:30:00. */
  readonly date_time: string | null;
  readonly has_position: boolean;
}

const none: ExifFacts = {
  present: false,
  make: null,
  model: null,
  software: null,
  date_time: null,
  has_position: false,
};

/** Numbers of entries (TIFF 6.0, EXIF 2.32). */
const entries = {
  make: 0x010f,
  model: 0x0110,
  software: 0x0131,
  dateTime: 0x0132,
  photo: 0x8769,
  position: 0x8825,
  takenAt: 0x9003,
  latitude: 2,
  longitude: 4,
} as const;

const maxEntries = 1024;
const maxTextLength = 100;
/** UTF-8 has up to four bytes for each. */
const maxTextBytes = 4 * maxTextLength;
const entryBytes = 12;
const ascii = 2;

/**
 * @param block as it is in the file, with or without "Exif\0\0" in front; undefined where there is none
 * @throws Error where the block is damaged
 */
export function exifFacts(block: Buffer | undefined): ExifFacts {
  if (block === undefined) return none;
  const tiff = new Tiff(block.toString('latin1', 0, 6) === 'Exif\0\0' ? block.subarray(6) : block);
  const image = tiff.directory(tiff.number(4, 4));
  const photo = tiff.directoryOf(image.get(entries.photo));
  const position = tiff.directoryOf(image.get(entries.position));
  return {
    present: true,
    make: tiff.text(image.get(entries.make)),
    model: tiff.text(image.get(entries.model)),
    software: tiff.text(image.get(entries.software)),
    date_time:
      dateOf(tiff.text(photo?.get(entries.takenAt))) ?? dateOf(tiff.text(image.get(entries.dateTime))),
    has_position: position?.has(entries.latitude) === true || position?.has(entries.longitude) === true,
  };
}

/** Where the entry of a number begins. */
type Directory = ReadonlyMap<number, number>;

class Tiff {
  readonly #bytes: Buffer;
  readonly #isBigEndian: boolean;

  constructor(bytes: Buffer) {
    const order = bytes.toString('latin1', 0, 2);
    this.#bytes = bytes;
    this.#isBigEndian = order === 'MM';
    if ((order !== 'MM' && order !== 'II') || this.number(2, 2) !== 42)
      throw new Error('the EXIF block does not begin as one');
  }

  /** @throws Error behind the end */
  number(at: number, bytes: 2 | 4): number {
    if (at + bytes > this.#bytes.length) throw new Error('the EXIF block ends early');
    return this.#isBigEndian ? this.#bytes.readUIntBE(at, bytes) : this.#bytes.readUIntLE(at, bytes);
  }

  directory(at: number): Directory {
    const count = this.number(at, 2);
    if (count > maxEntries) throw new Error(`a directory of the EXIF block has ${count} entries`);
    const places = Array.from({ length: count }, (_, index) => at + 2 + index * entryBytes);
    return new Map(places.map((place) => [this.number(place, 2), place]));
  }

  /** The directory that an entry points to; undefined without the entry. */
  directoryOf(entry: number | undefined): Directory | undefined {
    return entry === undefined ? undefined : this.directory(this.number(entry + 8, 4));
  }

  /** null for what is no text. */
  text(entry: number | undefined): string | null {
    if (entry === undefined || this.number(entry + 2, 2) !== ascii) return null;
    const length = this.number(entry + 4, 4);
    const at = length <= 4 ? entry + 8 : this.number(entry + 8, 4);
    const [text = ''] = this.#bytes.toString('utf8', at, at + Math.min(length, maxTextBytes)).split('\0', 1);
    return textOf(text);
  }
}

/** Printable and short, because a stranger wrote it. */
export function textOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const text = value
    .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, ' ')
    .trim()
    .slice(0, maxTextLength);
  return text === '' ? null : text;
}

function dateOf(text: string | null): string | null {
  const parts = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)$/.exec(text ?? '');
  return parts === null ? null : `${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}`;
}
