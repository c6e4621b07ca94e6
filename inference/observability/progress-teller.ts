import { randomBytes } from 'node:crypto';
import type { ProgressStep } from '../pipelines/analysis.ts';
import { PacedSteps } from './paced-steps.ts';
import type { ProgressEvent, ProgressPublisher } from './progress.ts';

export interface Watchers {
  /** How the client calls its media: whoever asks for it hears of this analysis. Undefined: nobody can. */
  readonly mediaId?: string | undefined;
  readonly userId?: string | undefined;
  /** The client itself. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
}

type Details = ProgressEvent['data']['details'];

/** Tells those who watch one analysis of its steps and of its end, in this order and numbered. */
export class ProgressTeller {
  readonly #watchers: Watchers;
  readonly #publisher: ProgressPublisher;
  readonly #model: string | null;
  readonly #run = randomBytes(8).toString('hex');
  /** By model: the steps of several come in turns. */
  readonly #steps = new Map<string | null, PacedSteps>();
  #count = 0;

  /** @param model that the client asked for by name */
  constructor(watchers: Watchers, publisher: ProgressPublisher, model: string | undefined) {
    this.#watchers = watchers;
    this.#publisher = publisher;
    this.#model = model ?? null;
  }

  /** @param model that takes the step. Default: the one that the client asked for */
  step(step: ProgressStep, model = this.#model): void {
    const steps = this.#steps.get(model) ?? new PacedSteps((due) => this.#tellStep(due, model));
    this.#steps.set(model, steps);
    steps.add(step);
  }

  /** One of several models has come to its end; others may go on. */
  modelEnded(model: string, isComplete: boolean, message: string, details: Details): void {
    this.#steps.get(model)?.flush();
    const event = isComplete ? 'MODEL_ANALYSIS_COMPLETE' : 'MODEL_ANALYSIS_FAILED';
    this.#tell(event, message, { model_name: model, progress: null, total: null, details });
  }

  completed(message: string, model: string, details: Details): void {
    this.#flush();
    this.#tell('ANALYSIS_COMPLETE', message, { model_name: model, progress: null, total: null, details });
  }

  failed(message: string, details: Details): void {
    this.#flush();
    this.#tell('ANALYSIS_FAILED', message, { model_name: this.#model, progress: null, total: null, details });
  }

  #flush(): void {
    for (const steps of this.#steps.values()) steps.flush();
  }

  #tellStep({ event, message, progress, total }: ProgressStep, model: string | null): void {
    this.#tell(event, message, { model_name: model, progress, total, details: {} });
  }

  #tell(event: ProgressEvent['event'], message: string, data: ProgressEvent['data']): void {
    const { mediaId, userId, onProgress } = this.#watchers;
    this.#count += 1;
    const id = `${this.#run}-${this.#count}`;
    const told = { id, media_id: mediaId ?? '', user_id: userId ?? null, event, message, data };
    onProgress?.(told);
    if (mediaId !== undefined) this.#publisher.publish(told);
  }
}
