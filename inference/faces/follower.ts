/** The main face of a video from frame to frame: searched where it has to be, else the mesh looks where it was. */
import type { Raster } from '../dsp/tiles.ts';
import { areaOf } from './boxes.ts';
import type { Box, FaceFinder, FaceLandmarks } from './faces.ts';
import { boxAround, faceOf, minPresence } from './landmarks.ts';
import { followFaces, noTracks, type OpenTrack } from './tracks.ts';

/** A face may have left the mesh's view after more than this: it is searched. */
const maxStepSeconds = 0.15;
/** After so many searches in vain, which cost most of all, there is one only every so often. */
const patience = { searches: 3, pauseSeconds: 0.5 };
/** No track has this number. */
const noTrack = -1;

export interface FollowedFace {
  /** The same as long as it is taken for the same person, in order of appearance. */
  readonly subject: number;
  /** As `FaceLandmarks.points`. */
  readonly points: Float32Array;
  /** Around the points, in pixels of the raster. */
  readonly box: Box;
}

interface Seen {
  readonly landmarks: FaceLandmarks;
  readonly box: Box;
}

/**
 * Looks at the pictures of one file in order. The main face is the largest one of the first picture that shows any. It stays the main face while
 * it is seen, and while pictures without any face pass; where others are seen and it is not, the largest of those follows it as another subject.
 * Who a face is is told by place and size alone, as `followFaces` does.
 */
export class FaceFollower {
  readonly #finder: FaceFinder;
  readonly #minSide: number;
  readonly #signal: AbortSignal;
  #open: readonly OpenTrack[] = noTracks.open;
  #nextId = noTracks.nextId;
  /** Track of the main face. */
  #main = noTrack;
  #subject = -1;
  #last: { readonly seconds: number; readonly landmarks: FaceLandmarks } | undefined;
  #vain = { searches: 0, atSeconds: -Infinity };

  /** @param minSide of a face's box in pixels of the rasters: smaller ones are not seen */
  constructor(finder: FaceFinder, minSide: number, signal: AbortSignal) {
    this.#finder = finder;
    this.#minSide = minSide;
    this.#signal = signal;
  }

  /**
   * @param seconds of the picture, not before those of the last one
   * @returns undefined where the main face is not seen
   * @throws the signal's reason as soon as it is aborted
   */
  async look(raster: Raster, seconds: number): Promise<FollowedFace | undefined> {
    const seen = (await this.#whereItWas(raster, seconds)) ?? (await this.#searched(raster, seconds));
    this.#last = seen === undefined ? undefined : { seconds, landmarks: seen.landmarks };
    if (seen === undefined) return undefined;
    const { landmarks, box } = seen;
    return { subject: this.#subject, points: landmarks.points, box };
  }

  async #whereItWas(raster: Raster, seconds: number): Promise<Seen | undefined> {
    if (this.#last === undefined || seconds - this.#last.seconds > maxStepSeconds) return undefined;
    const seen = this.#large(
      await this.#finder.landmarks(raster, faceOf(this.#last.landmarks), this.#signal),
    );
    if (seen !== undefined)
      this.#open = this.#open.map((track) =>
        track.id === this.#main ? { ...track, box: seen.box, missed: 0 } : track,
      );
    return seen;
  }

  async #searched(raster: Raster, seconds: number): Promise<Seen | undefined> {
    const { searches, atSeconds } = this.#vain;
    if (searches >= patience.searches && seconds - atSeconds < patience.pauseSeconds) return undefined;
    const found: Seen[] = [];
    for (const face of await this.#finder.find(raster, this.#signal)) {
      const seen = this.#large(await this.#finder.landmarks(raster, face, this.#signal));
      if (seen !== undefined) found.push(seen);
    }
    this.#vain =
      found.length === 0 ? { searches: searches + 1, atSeconds: seconds } : { ...this.#vain, searches: 0 };
    if (found.length === 0) return undefined;
    const seen = this.#chosen(found);
    if (seen === undefined) return undefined;
    // Boxes of the detector are not those of the mesh: without a second look, points would jump at every search.
    const refined = await this.#finder.landmarks(raster, faceOf(seen.landmarks), this.#signal);
    return this.#large(refined) ?? seen;
  }

  /** The main face, or the one that takes its place. */
  #chosen(found: readonly Seen[]): Seen | undefined {
    const { ids, tracks } = followFaces(
      { open: this.#open, nextId: this.#nextId },
      found.map(({ box }) => box),
    );
    this.#open = tracks.open;
    this.#nextId = tracks.nextId;
    const main = ids.indexOf(this.#main);
    if (main >= 0) return found[main];
    if (this.#open.some(({ id }) => id === this.#main)) return undefined;
    const [largest] = found.toSorted((a, b) => areaOf(b.box) - areaOf(a.box));
    if (largest === undefined) return undefined;
    this.#main = ids[found.indexOf(largest)] ?? noTrack;
    this.#subject += 1;
    return largest;
  }

  #large(landmarks: FaceLandmarks): Seen | undefined {
    if (landmarks.presence < minPresence) return undefined;
    const box = boxAround(landmarks.points);
    return Math.min(box.width, box.height) >= this.#minSide ? { landmarks, box } : undefined;
  }
}
