/** What stands beside a score without being part of it: where a file comes from, as far as it says, and how its pixels were stored. */
import type { LumaPatches } from '../dsp/luma-patches.ts';
import type { FfmpegExit } from '../media/media-program.ts';
import type { SniffedMedia } from '../media/sniff.ts';
import { type MediaSource, withBytes } from '../media/source.ts';
import { hasC2pa } from './c2pa.ts';
import { type ContainerFacts, containerFacts } from './container.ts';
import { doubleJpeg } from './double-jpeg.ts';
import { type ExifFacts, exifFacts } from './exif.ts';
import { readJpegFacts } from './jpeg-segments.ts';
import { tableFacts } from './jpeg-tables.ts';
import { type NoiseStatistics, noiseStatistics } from './noise.ts';

/** Members that the kind of media does not have are undefined; those that could not be read are null. */
export interface Provenance {
  readonly c2pa: {
    /** null where the format is one in which nothing is looked for. */
    readonly present: boolean | null;
    readonly validation_state: 'not_checked';
  } | null;
  readonly exif?: ExifFacts | null;
  readonly container?: ContainerFacts | null;
}

export interface JpegReport {
  readonly quality: number;
  readonly tables: 'standard' | 'custom';
  readonly subsampling: string | null;
  readonly progressive: boolean;
  /** null where there are too few coefficients. */
  readonly double_compression: {
    readonly likely: boolean;
    readonly evidence: number;
    readonly frequencies: number;
  } | null;
}

export interface Forensics {
  readonly noise: NoiseStatistics | null;
  /** undefined for other formats. */
  readonly jpeg?: JpegReport | null;
}

export interface ForensicReport {
  readonly provenance: Provenance;
  /** undefined for sound and video. */
  readonly forensics?: Forensics;
  /** For a person: what could not be read. */
  readonly warnings: readonly string[];
}

export interface ForensicSubject extends MediaSource {
  readonly media: SniffedMedia;
  /** Of an image; of the whole picture, upright. */
  readonly upright: () => Promise<LumaPatches>;
  /** The same of the pixels as they are stored, on whose grid JPEG's blocks lie. */
  readonly stored: () => Promise<LumaPatches>;
  /** The EXIF block of an image; undefined where it has none. */
  readonly exifBlock: () => Promise<Buffer | undefined>;
  readonly signal: AbortSignal;
  readonly onExit: (exit: FfmpegExit) => void;
}

/** Never fails for what a file holds: what cannot be read is null and a warning. @throws the signal's reason */
export async function forensicReport(subject: ForensicSubject): Promise<ForensicReport> {
  const { media, signal, onExit } = subject;
  const warnings: string[] = [];
  const orNull = async <T>(what: string, read: () => Promise<T>): Promise<T | null> => {
    signal.throwIfAborted();
    try {
      return await read();
    } catch {
      signal.throwIfAborted();
      warnings.push(`${what} could not be read, which says nothing of the content.`);
      return null;
    }
  };
  const c2pa = await orNull('Whether the file has Content Credentials', () => c2paOf(subject));
  if (media.kind === 'image') {
    const exif = await orNull('The EXIF data', async () => exifFacts(await subject.exifBlock()));
    const noise = await orNull('The noise of the image', async () =>
      noiseStatistics(await subject.upright()),
    );
    const forensics =
      media.mime === 'image/jpeg'
        ? { noise, jpeg: await orNull('How the JPEG file is coded', () => jpegOf(subject)) }
        : { noise };
    return { provenance: { c2pa, exif }, forensics, warnings };
  }
  if (media.kind === 'unsupported') return { provenance: { c2pa }, warnings };
  const container = await orNull('What the container says of itself', () =>
    containerFacts({ path: subject.path, ...media }, { signal, onExit }),
  );
  return { provenance: { c2pa, container }, warnings };
}

async function c2paOf(subject: ForensicSubject): Promise<Provenance['c2pa']> {
  const { media } = subject;
  if (media.kind === 'unsupported') return { present: null, validation_state: 'not_checked' };
  const present = await withBytes(subject, (file) => hasC2pa(file, media.mime));
  return { present: present ?? null, validation_state: 'not_checked' };
}

async function jpegOf(subject: ForensicSubject): Promise<JpegReport> {
  const facts = await withBytes(subject, readJpegFacts);
  const luma = facts?.tables.get(facts.lumaTable);
  if (facts === undefined || luma === undefined) throw new Error('its markers do not lead to its pixels');
  const { quality, kind } = tableFacts(luma);
  const found = doubleJpeg(await subject.stored(), luma);
  return {
    quality,
    tables: kind,
    subsampling: facts.subsampling,
    progressive: facts.isProgressive,
    double_compression:
      found === undefined
        ? null
        : { likely: found.isLikely, evidence: found.evidence, frequencies: found.frequencies },
  };
}
