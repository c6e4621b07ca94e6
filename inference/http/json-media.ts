/** Media in JSON: a URL, or the file itself in base64. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { orAborted } from '../abortion.ts';
import { messageOf, serviceError } from '../errors.ts';
import type { Extras } from '../pipelines/analysis.ts';
import type { Wanted } from '../pipelines/fusion/selection.ts';
import { beginExchange, type Exchange } from './exchange.ts';
import { modelField, validated } from './form-media.ts';
import { modelsMember } from './model-selection.ts';
import type { ReceivedMedia } from './reception.ts';
import type { RouteDependencies } from './server.ts';

/** Decoded; larger media comes as a form or by URL, which need no memory. */
const maxInlineBytes = 10 * 1024 ** 2;
const maxJsonBytes = Math.ceil((maxInlineBytes * 4) / 3) + 64 * 1024;

const mediaUrl = z.url({ protocol: /^https?$/ }).max(4096);

const base64 = z
  .string()
  .min(1)
  .refine((text) => /^[A-Za-z0-9+/]+={0,2}$/.test(text), { error: 'is not base64' })
  .transform((text) => Buffer.from(text, 'base64'))
  .describe('The file in base64.');

const options = z.object({
  model: modelField,
  models: z.array(z.string()).max(1).optional().describe('The same as a list of one.'),
});

/** One of several members names or holds the media. Members that nobody knows are ignored. */
export const mediaBody = z.union(
  [
    options.extend({ video_url: mediaUrl }),
    options.extend({ image_url: mediaUrl }),
    options.extend({ audio_url: mediaUrl }),
    options.extend({ image: base64 }),
    options.extend({ video: base64 }),
    options.extend({ audio: base64 }),
  ],
  { error: 'give one of video_url, image_url, audio_url (https), image, video or audio (base64)' },
);

export const linkedMediaBody = z.object({
  url: mediaUrl,
  model: modelField,
  models: modelsMember,
  perturb: z.boolean().optional().describe('As the field of the form.'),
});

/** JSON bodies reach the routes of `scope` unread, so that a slow or large one is limited as every other upload is. */
export function leaveJsonUnread(scope: FastifyInstance): void {
  scope.removeContentTypeParser('application/json');
  scope.addContentTypeParser('application/json', (_request, body, done) => done(null, body));
}

export function isJson(request: FastifyRequest): boolean {
  return request.body instanceof Readable && !request.isMultipart();
}

interface JsonSource extends Wanted {
  readonly extras?: Extras;
  readonly from: { readonly url: string } | { readonly bytes: Buffer };
}

export interface ReceivedJson {
  readonly exchange: Exchange;
  readonly media: ReceivedMedia;
  readonly wanted: Wanted;
  readonly extras: Extras;
  readonly fromUrl: boolean;
}

/** Which media a JSON body means. */
export function sourceOf(body: z.infer<typeof mediaBody>): JsonSource {
  const model = body.model ?? body.models?.[0];
  if ('video_url' in body) return { model, from: { url: body.video_url } };
  if ('image_url' in body) return { model, from: { url: body.image_url } };
  if ('audio_url' in body) return { model, from: { url: body.audio_url } };
  if ('image' in body) return { model, from: { bytes: body.image } };
  return { model, from: { bytes: 'video' in body ? body.video : body.audio } };
}

/** Reads a JSON body, takes the media that it means, hands it to `use` and removes it whatever happens. */
export async function withJsonMedia<Schema extends z.ZodType, T>(
  { config, detections, spool, fetcher }: RouteDependencies,
  request: FastifyRequest,
  reply: FastifyReply,
  { body: schema, source }: { readonly body: Schema; readonly source: (body: z.infer<Schema>) => JsonSource },
  use: (intake: ReceivedJson) => Promise<T>,
): Promise<T> {
  detections.refuseEarly(request);
  const exchange = beginExchange(request, reply, { ...config, priority: 'interactive' });
  const receive = async (uploading: AbortSignal) => {
    const signal = AbortSignal.any([uploading, exchange.clientGone]);
    const json = await readJson(request.body as Readable, signal);
    const { from, extras = {}, ...wanted } = source(validated(schema, json, 'body'));
    const spooled = async (body: Readable, claimedType: string): Promise<ReceivedMedia> => ({
      file: await spool.receive(body, config.maxUploadBytes, signal),
      claimedType,
      name: '',
    });
    const media =
      'url' in from
        ? await fetcher.fetch(from.url, spooled, signal)
        : await spooled(Readable.from([from.bytes]), '');
    return { media: [media] as const, wanted, extras, fromUrl: 'url' in from };
  };
  return detections.withReception(request, receive, ({ media: [media], wanted, extras, fromUrl }) =>
    use({ exchange, media, wanted, extras, fromUrl }),
  );
}

/** @throws ServiceError upload_too_large, malformed_body; the signal's reason */
async function readJson(body: Readable, signal: AbortSignal): Promise<unknown> {
  try {
    return JSON.parse(await orAborted(readText(body), signal));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SyntaxError)) throw error;
    throw serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  }
}

async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The connection has to live for the answer.
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > maxJsonBytes) throw serviceError('upload_too_large', { limitBytes: maxJsonBytes });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
