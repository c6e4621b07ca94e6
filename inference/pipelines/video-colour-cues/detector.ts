/** The colours of a face over time: a histogram of its chromaticity for each frame that shows it, windows of these through the graph. */
import { chromaticityHistogram } from '../../dsp/chromaticity.ts';
import type { Raster } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import { padded, within } from '../../faces/boxes.ts';
import { cutOut } from '../../faces/crop.ts';
import type { Box, FaceFinder } from '../../faces/faces.ts';
import type { VideoColourCuesParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, timed } from '../analysis.ts';
import { followVideo } from '../faces/follow.ts';
import { judgeWindows, type WindowScoring, windowCounts, windowFindings } from '../faces/windows.ts';
import { rollingAverage } from '../video-frames/scores.ts';
import { cutNotes } from '../videos.ts';

export function videoColourCuesDetector(
  parameters: VideoColourCuesParameters,
  { finder, classifier }: { readonly finder: FaceFinder; readonly classifier: Classifier },
  { scoreOf, high }: WindowScoring,
): Detector {
  const { sampling, maxFrameSide, minFaceSide, margin, bins, sequence, rollingWindows, aggregation } =
    parameters;
  return async (input, context) => {
    const followed = await followVideo(input, context, {
      finder,
      samplingOf: () => sampling,
      maxFrameSide,
      minFaceSide,
      minFrames: sequence,
      see: (raster, { box }) => histogramAround(raster, box, margin, bins),
    });
    if ('notJudged' in followed) return followed.notJudged;
    const { facts, plan, moments, sightings } = followed;
    const items = sightings.flatMap((sighting, frame) =>
      sighting === undefined ? [] : [{ ...sighting, frame }],
    );
    const judged = await timed(() =>
      judgeWindows(
        items,
        parameters,
        { itemShape: [bins, bins], write: ({ seen }, target) => target.set(seen) },
        (windows, shape) => classifier.logits(windows, shape, context.signal, context.observer),
      ),
    );
    const windows = judged.value;
    const counts = { frames_analysed: moments.length, frames_with_face: items.length };
    const common = {
      ...facts,
      notes: cutNotes(plan),
      timingsMs: { ...followed.timingsMs, infer: judged.ms },
    };
    if (windows.length === 0) {
      const reason = items.length === 0 ? 'no_face' : 'too_few_faces';
      const signals = { ...counts, sequence_count: 0 };
      return { ...common, logit: null, inconclusiveReasons: [reason], partScores: [], frames: [], signals };
    }
    const findings = windowFindings(windows, moments, aggregation, scoreOf);
    const { suspicious, average } = windowCounts(findings.partScores, high);
    return {
      ...common,
      ...findings,
      signals: {
        ...counts,
        sequence_count: windows.length,
        rolling_average_scores: rollingAverage(findings.partScores, rollingWindows),
        final_average_score: average,
        suspicious_sequences_count: suspicious,
      },
    };
  };
}

/** Undefined where the face lies outside the picture. */
function histogramAround(raster: Raster, box: Box, margin: number, bins: number): Float32Array | undefined {
  const cut = within(padded(box, margin), raster);
  return cut === undefined ? undefined : chromaticityHistogram(cutOut(raster, cut), bins);
}
