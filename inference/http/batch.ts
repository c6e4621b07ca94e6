/** Many files of one request: each fails alone, and never more are under way than the workers take. */
import { ServiceError, serviceError } from '../errors.ts';
import type { Extras } from '../pipelines/analysis.ts';
import type { Detection, Detections } from './detections.ts';
import type { Exchange } from './exchange.ts';
import type { ReceivedMedia } from './reception.ts';

export type Outcome = { readonly filename: string } & (
  | { readonly detection: Detection }
  | { readonly error: ServiceError }
);

/** In the order of the files. Rejects when the client has left. */
export async function detectEach(
  detections: Detections,
  exchange: Exchange,
  media: readonly ReceivedMedia[],
  {
    model,
    extras = {},
    parallel,
  }: { readonly model: string | undefined; readonly extras?: Extras; readonly parallel: number },
): Promise<Outcome[]> {
  // One header cannot say it of many files.
  const unlabelled = { ...exchange, onCache: () => undefined };
  const outcomeOf = async (file: ReceivedMedia): Promise<Outcome> => {
    const filename = file.name;
    exchange.clientGone.throwIfAborted();
    try {
      if (file.file.bytes === 0) throw serviceError('empty_media', { field: filename });
      return { filename, detection: await detections.detect(unlabelled, { media: file, model, extras }) };
    } catch (error) {
      return { filename, error: known(error, exchange) };
    }
  };
  return mapWithLimit(media, parallel, outcomeOf);
}

function known(error: unknown, { log, requestId }: Exchange): ServiceError {
  if (error instanceof ServiceError) return error;
  log.error({ err: error }, 'a file of a batch failed inside the server');
  return serviceError('inference_failed', { requestId }, { cause: error });
}

async function mapWithLimit<Item, Result>(
  items: readonly Item[],
  limit: number,
  action: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.entries();
  const takeTurns = async () => {
    for (const [index, item] of left) results[index] = await action(item);
  };
  await Promise.all(Array.from({ length: limit }, takeTurns));
  return results;
}
