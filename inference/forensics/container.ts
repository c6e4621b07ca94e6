/** What a container of sound or video says of how it came to be, read by ffprobe. All of it is claims. */
import { z } from 'zod';
import { guardedInput } from '../media/ffmpeg.ts';
import { collectOutput, type FfmpegExit } from '../media/media-program.ts';
import type { MediaFile } from '../media/sniff.ts';
import { textOf } from './exif.ts';

export interface ContainerFacts {
  /** The program that wrote it, as far as it says. */
  readonly encoder: string | null;
  /** Of ISO media: the brand, as isom or qt. */
  readonly brand: string | null;
  /** As the file has it. */
  readonly creation_time: string | null;
  readonly has_position: boolean;
}

const tags = z.record(z.string(), z.string()).default({});
const report = z.object({
  format: z.object({ tags }).default({ tags: {} }),
  streams: z.array(z.object({ tags })).default([]),
});
const names = 'encoder,major_brand,creation_time,location,com.apple.quicktime.location.ISO6709';
const maxReportBytes = 256 * 1024;

/** @throws FfmpegError with ffprobe's complaint; Error where its report cannot be read */
export async function containerFacts(
  { path, demuxer }: MediaFile,
  run: { readonly signal: AbortSignal; readonly onExit: (exit: FfmpegExit) => void },
): Promise<ContainerFacts> {
  const entries = `format_tags=${names}:stream_tags=encoder,creation_time`;
  const { output } = await collectOutput({
    ...run,
    program: 'ffprobe',
    args: ['-v', 'error', ...guardedInput(demuxer), '-show_entries', entries, '-of', 'json', path],
    path,
    maxBytes: maxReportBytes,
  });
  return factsIn(JSON.parse(output.toString('utf8')));
}

/** @param document ffprobe's report. @throws ZodError */
export function factsIn(document: unknown): ContainerFacts {
  const { format, streams } = report.parse(document);
  const all = [format, ...streams].map((one) => lowerCased(one.tags));
  const first = (name: string) => textOf(all.find((one) => one[name] !== undefined)?.[name]);
  return {
    encoder: first('encoder'),
    brand: first('major_brand'),
    creation_time: first('creation_time'),
    has_position: all.some((one) => Object.keys(one).some((name) => name.includes('location'))),
  };
}

/** Matroska shouts its names. */
function lowerCased(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]));
}
