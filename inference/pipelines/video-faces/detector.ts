/** Faces in frames of a video, each judged alone; the face that looks most like a fake stands for its frame, and frames without one do not count. */
import { soleReader } from '../../media/video-reader.ts';
import type { VideoFacesParameters } from '../../models/pipeline-parameters.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { type Detector, timed } from '../analysis.ts';
import { aggregateFrames } from '../faces/aggregation.ts';
import { type FaceGraphs, FaceJudge, leftOutNotes } from '../faces/crops.ts';
import {
  type FaceScoring,
  faceSegments,
  faceSignals,
  frameLogits,
  framesWithFaces,
  scoredFrames,
  tracksOf,
} from '../faces/scores.ts';
import { cutNotes, factsOf, plannedFrames, progressOf, videoNotJudged, videoRequestOf } from '../videos.ts';

export function videoFacesDetector(
  parameters: VideoFacesParameters,
  graphs: FaceGraphs,
  scoring: FaceScoring,
): Detector {
  const { sampling, maxFrameSide, minFrames, aggregation } = parameters;
  return async (input, context) => {
    const { videoReader = soleReader } = context;
    const request = videoRequestOf(input, context);
    const opened = await timed(() => videoReader.open(request));
    const video = opened.value;
    if (video === undefined) return videoNotJudged('no_frames', opened.ms);
    const facts = factsOf(video);
    const plan = plannedFrames(sampling, video);
    const { stretches, total, reachesEnd } = plan;
    if (Math.min(total, video.frameCount) < minFrames)
      return { ...videoNotJudged('too_short', opened.ms), ...facts };
    const size = reducedTo(maxFrameSide, facts.dimensions);
    const shape = { ...size, fit: 'fill', interpolation: 'area' } as const;
    const scale = { x: facts.dimensions.width / size.width, y: facts.dimensions.height / size.height };
    const judge = new FaceJudge(parameters, graphs, context);
    const moments: number[] = [];
    const onSeen = progressOf(total, context.report);
    const selection = { stretches, shape, keyframesOnly: false, reachesEnd };
    const watched = await timed(async () => {
      for await (const { index, seconds, raster } of videoReader.frames(video, selection, request)) {
        moments.push(seconds);
        await judge.look(raster, index, scale);
        onSeen(moments.length);
      }
      await judge.finish();
    });
    const { faces, preprocessMs, inferMs } = judge;
    const timingsMs = {
      decode: opened.ms + watched.ms - preprocessMs - inferMs,
      preprocess: preprocessMs,
      infer: inferMs,
    };
    const frames = framesWithFaces(moments, faces, scoring);
    const scored = scoredFrames(frames);
    const notes = [...cutNotes(plan), ...leftOutNotes(judge, parameters)];
    const common = { ...facts, notes, timingsMs };
    if (scored.length < minFrames) {
      return {
        ...common,
        logit: null,
        inconclusiveReasons: [reasonNotToJudge(moments.length, scored.length, minFrames)],
        partScores: [],
        frames: [],
        // How many there are is no verdict; what each of them looks like would be one.
        signals: {
          frames_analysed: moments.length,
          frames_with_face: scored.length,
          total_faces_detected: faces.length,
        },
      };
    }
    return {
      ...common,
      frames,
      tracks: tracksOf(moments, faces, scoring),
      signals: faceSignals(frames, scoring.high),
      logit: aggregateFrames(frameLogits(faces, scoring), aggregation, scoring.positive),
      inconclusiveReasons: [],
      partScores: scored.map(({ score }) => score),
      segments: faceSegments(frames, plan.endSeconds),
    };
  };
}

function reasonNotToJudge(frames: number, withFace: number, minFrames: number): InconclusiveReason {
  if (frames < minFrames) return 'too_short';
  return withFace === 0 ? 'no_face' : 'too_few_faces';
}

/** The same proportions, with no side longer than the limit and none without pixels. */
export function reducedTo(
  limit: number,
  { width, height }: { readonly width: number; readonly height: number },
) {
  const scale = Math.min(1, limit / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
