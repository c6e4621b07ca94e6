/** Pictures and sound of one file, from one process of ffmpeg where it has both. */
import { decodedLength, decodeSoundOfVideo } from '../../media/audio.ts';
import {
  type Frame,
  type FrameSelection,
  framesOf,
  type OpenedVideo,
  type VideoRequest,
} from '../../media/video.ts';
import { refuseNoSound } from '../sound/sound-file.ts';

export interface SoundSettings {
  /** Hz. */
  readonly sampleRate: number;
  readonly maxSeconds: number;
}

export interface Sound {
  /** Mono, [-1, 1]. */
  readonly samples: Float32Array;
  readonly decodedSeconds: number;
  /** The file goes on after `maxSeconds`. */
  readonly cut: boolean;
}

/**
 * Hands the frames to `see` and gives the sound when they are all seen; undefined where there is no sound track.
 * @throws ServiceError corrupt_media; the signal's reason where it was aborted; what `see` throws
 */
export async function seeAndHear<Seen>(
  video: OpenedVideo,
  selection: Omit<FrameSelection, 'sound'>,
  settings: SoundSettings,
  request: VideoRequest,
  see: (frames: AsyncIterable<Frame>) => Promise<Seen>,
): Promise<{ readonly seen: Seen; readonly sound: Sound | undefined }> {
  const track = video.sound;
  const heard: Float32Array[] = [];
  const sound = track && {
    track: track.index,
    sampleRateHz: settings.sampleRate,
    maxSeconds: settings.maxSeconds,
    onSamples: (samples: Float32Array) => heard.push(samples),
  };
  const seen = await see(framesOf(video, { ...selection, sound }, request));
  const [samples] = heard;
  if (track === undefined || samples === undefined) return { seen, sound: undefined };
  refuseNoSound(samples, request.mime);
  const { mime } = request;
  const limits = { mime, sampleRateHz: settings.sampleRate, maxSeconds: settings.maxSeconds };
  return { seen, sound: { samples, ...decodedLength(samples, track.durationSeconds, limits) } };
}

/** The sound of a file without pictures. @throws as `seeAndHear` */
export async function hear(settings: SoundSettings, request: VideoRequest): Promise<Sound | undefined> {
  const { sampleRate: sampleRateHz, maxSeconds } = settings;
  const sound = await decodeSoundOfVideo({ ...request, sampleRateHz, maxSeconds });
  if (sound !== undefined) refuseNoSound(sound.samples, request.mime);
  return sound;
}
