/** A video frame by frame with what a family sees of its main face. */
import type { Raster } from '../../dsp/tiles.ts';
import type { FaceFinder } from '../../faces/faces.ts';
import { FaceFollower, type FollowedFace } from '../../faces/follower.ts';
import type { Sampling } from '../../media/sampling.ts';
import type { OpenedVideo } from '../../media/video.ts';
import { soleReader } from '../../media/video-reader.ts';
import { type DetectorContext, type DetectorInput, type Findings, timed } from '../analysis.ts';
import { reducedTo } from '../video-faces/detector.ts';
import {
  factsOf,
  type PlannedFrames,
  plannedFrames,
  progressOf,
  videoNotJudged,
  videoRequestOf,
} from '../videos.ts';

export interface FollowRequest<Seen> {
  readonly finder: FaceFinder;
  readonly samplingOf: (video: OpenedVideo) => Sampling;
  /** Of the longer side of the frames that are looked at, in pixels. */
  readonly maxFrameSide: number;
  /** In pixels of the file's own pictures. */
  readonly minFaceSide: number;
  /** A video with fewer frames is too short. */
  readonly minFrames: number;
  /** What the family keeps of a frame; undefined where it sees nothing of the face. */
  readonly see: (raster: Raster, face: FollowedFace) => Seen | undefined;
}

/** What was seen of a person in a frame. */
export interface Sighting<Seen> {
  readonly subject: number;
  readonly seen: Seen;
}

export interface FollowedVideo<Seen> {
  readonly video: OpenedVideo;
  readonly facts: ReturnType<typeof factsOf>;
  readonly plan: PlannedFrames;
  /** Of each frame, in seconds. */
  readonly moments: readonly number[];
  /** Of each frame. */
  readonly sightings: readonly (Sighting<Seen> | undefined)[];
  readonly timingsMs: Readonly<Record<'decode' | 'preprocess', number>>;
}

/** @returns findings where the file has no frames or too few, whatever they show */
export async function followVideo<Seen>(
  input: DetectorInput,
  context: DetectorContext,
  { finder, samplingOf, maxFrameSide, minFaceSide, minFrames, see }: FollowRequest<Seen>,
): Promise<FollowedVideo<Seen> | { readonly notJudged: Findings }> {
  const request = videoRequestOf(input, context);
  const { videoReader = soleReader } = context;
  const opened = await timed(() => videoReader.open(request));
  const video = opened.value;
  if (video === undefined) return { notJudged: videoNotJudged('no_frames', opened.ms) };
  const facts = factsOf(video);
  const plan = plannedFrames(samplingOf(video), video);
  const { stretches, total, reachesEnd } = plan;
  const tooShort = (ms: number) => ({ notJudged: { ...videoNotJudged('too_short', ms), ...facts } });
  if (Math.min(total, video.frameCount) < minFrames) return tooShort(opened.ms);
  const size = reducedTo(maxFrameSide, facts.dimensions);
  const minSide = (minFaceSide * size.width) / facts.dimensions.width;
  const follower = new FaceFollower(finder, minSide, context.signal);
  const moments: number[] = [];
  const sightings: (Sighting<Seen> | undefined)[] = [];
  const onSeen = progressOf(total, context.report);
  const shape = { ...size, fit: 'fill', interpolation: 'area' } as const;
  let preprocessMs = 0;
  const watched = await timed(async () => {
    for await (const { seconds, raster } of videoReader.frames(
      video,
      { stretches, shape, keyframesOnly: false, reachesEnd },
      request,
    )) {
      const looked = await timed(async () => {
        const face = await follower.look(raster, seconds);
        const seen = face === undefined ? undefined : see(raster, face);
        return face === undefined || seen === undefined ? undefined : { subject: face.subject, seen };
      });
      preprocessMs += looked.ms;
      moments.push(seconds);
      sightings.push(looked.value);
      onSeen(moments.length);
    }
  });
  if (moments.length < minFrames) return tooShort(opened.ms + watched.ms);
  const timingsMs = { decode: opened.ms + watched.ms - preprocessMs, preprocess: preprocessMs };
  return { video, facts, plan, moments, sightings, timingsMs };
}
