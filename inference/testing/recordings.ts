/** The voices of test/fixtures/media as samples. */
import { fileURLToPath } from 'node:url';
import { decodeAudio } from '../media/audio.ts';

/** Mono at 16 kHz, which is what the files hold. */
export async function recording(name: string): Promise<Float32Array> {
  const { samples } = await decodeAudio({
    path: fileURLToPath(new URL(`../../test/fixtures/media/${name}`, import.meta.url)),
    mime: 'audio/flac',
    demuxer: 'flac',
    sampleRateHz: 16_000,
    maxSeconds: 60,
    signal: new AbortController().signal,
    onExit: () => undefined,
  });
  return samples;
}
