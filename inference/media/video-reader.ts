/** How detectors come to the frames of a video: each for itself, or several of one file together. */
import {
  type Frame,
  type FrameSelection,
  framesOf,
  type OpenedVideo,
  openVideo,
  type VideoRequest,
} from './video.ts';

export interface VideoReader {
  /** As `openVideo`. */
  open(request: VideoRequest): Promise<OpenedVideo | undefined>;
  /** As `framesOf`; the pixels are not to be changed. */
  frames(video: OpenedVideo, selection: FrameSelection, request: VideoRequest): AsyncIterable<Frame>;
}

export const soleReader: VideoReader = { open: openVideo, frames: framesOf };

/** Frames that the fastest of several readers may be ahead of the slowest: two of the batches that detectors take. */
const maxAhead = 16;

/**
 * One file for several detectors that start at the same time: it is probed once, and frames that are taken at the same moments in the same
 * shape are decoded once. Other shapes are decoded again and not made of these: a model has to see the pixels with which it was tested.
 */
export class SharedVideo implements VideoReader {
  #opened: Promise<OpenedVideo | undefined> | undefined;
  readonly #rows = new Map<string, FrameRow>();

  open(request: VideoRequest): Promise<OpenedVideo | undefined> {
    this.#opened ??= openVideo(request);
    return this.#opened;
  }

  async *frames(video: OpenedVideo, selection: FrameSelection, request: VideoRequest): AsyncGenerator<Frame> {
    const key = JSON.stringify(selection);
    let row = this.#rows.get(key);
    if (row?.canBeJoined !== true || selection.sound !== undefined) {
      row = new FrameRow(framesOf(video, selection, request));
      if (selection.sound === undefined) this.#rows.set(key, row);
    }
    yield* row.read();
  }
}

/** The frames of one source for several readers, each at its own pace. */
export class FrameRow {
  readonly #source: AsyncIterator<Frame>;
  readonly #readers = new Set<{ next: number }>();
  /** Those from number `#first` on. */
  readonly #held: Frame[] = [];
  #first = 0;
  #pulling: Promise<boolean> | undefined;
  #moved = Promise.withResolvers<void>();
  #isOver = false;
  /** An iterator that has failed once says "done" from then on, which would be the end of the video. */
  #failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterator<Frame>) {
    this.#source = source;
  }

  /** Whether a new reader would get every frame. */
  get canBeJoined(): boolean {
    return this.#first === 0 && !this.#isOver && this.#failure === undefined;
  }

  /** All frames. The source ends when its last reader has left. @throws what the source throws */
  async *read(): AsyncGenerator<Frame> {
    const reader = { next: this.#first };
    this.#readers.add(reader);
    try {
      while (await this.#has(reader.next)) {
        const frame = this.#held[reader.next - this.#first];
        if (frame === undefined) return;
        reader.next += 1;
        this.#drop();
        yield frame;
      }
    } finally {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) {
        this.#isOver = true;
        await this.#source.return?.();
      } else this.#drop();
    }
  }

  async #has(number: number): Promise<boolean> {
    while (number >= this.#first + this.#held.length) {
      if (this.#held.length >= maxAhead) await this.#moved.promise;
      else if (!(await this.#pull())) return false;
    }
    return true;
  }

  /** For all who wait at once. */
  #pull(): Promise<boolean> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    this.#pulling ??= this.#source
      .next()
      .then(
        ({ done, value }) => {
          if (done === true) return false;
          this.#held.push(value);
          return true;
        },
        (error: unknown) => {
          this.#failure = { error };
          throw error;
        },
      )
      .finally(() => {
        this.#pulling = undefined;
      });
    return this.#pulling;
  }

  /** Lets go of what every reader has had. */
  #drop(): void {
    const slowest = Math.min(...[...this.#readers].map(({ next }) => next));
    if (slowest <= this.#first) return;
    this.#held.splice(0, slowest - this.#first);
    this.#first = slowest;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}
