/** Media in forms: what the routes that take files begin with. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Priority } from '../engine/job-queue.ts';
import { beginExchange, type Exchange, invalidRequest } from './exchange.ts';
import type { ReceivedMedia, Reception } from './reception.ts';
import type { RouteDependencies } from './server.ts';

/** An empty field counts as absent. */
export const optionalText = z
  .string()
  .optional()
  .transform((text) => text || undefined);

export const modelField = optionalText.describe(
  'Serving name; without it the default model, or the first that fits the media.',
);

/** Whether changed copies are judged, too; undefined for what the package does. */
export const perturbField = z
  .enum(['true', 'false', ''])
  .optional()
  .transform((text) => (text ? text === 'true' : undefined))
  .describe(
    'true: slightly changed copies of an image are judged, too, and a verdict that one of them does not get is not given. false: they are not, whatever the model does by default.',
  );

/** A file of a form, as it is documented. */
export const fileField = z.file();

export interface FileIntake<Fields extends z.ZodObject> {
  /** The first is told to clients that send no file. */
  readonly fileFields: readonly [string, ...string[]];
  readonly fields: Fields;
}

export interface ReceivedForm<Fields> {
  readonly exchange: Exchange;
  readonly media: Reception['media'];
  readonly fields: Fields;
}

export interface ReceivedFile<Fields> extends Omit<ReceivedForm<Fields>, 'media'> {
  readonly media: ReceivedMedia;
}

/** Takes one file with its fields, hands them to `use` and removes the file whatever happens. */
export function withFile<Fields extends z.ZodObject, T>(
  dependencies: RouteDependencies,
  request: FastifyRequest,
  reply: FastifyReply,
  intake: FileIntake<Fields>,
  use: (received: ReceivedFile<z.infer<Fields>>) => Promise<T>,
): Promise<T> {
  const limits = { maxFiles: 1, priority: 'interactive' } as const;
  return withForm(dependencies, request, reply, { ...intake, ...limits }, ({ media: [media], ...rest }) =>
    use({ media, ...rest }),
  );
}

export const maxBatchFiles = 20;

/** The same for up to `maxBatchFiles` files, which wait until nobody waits for a single one. */
export function withFiles<Fields extends z.ZodObject, T>(
  dependencies: RouteDependencies,
  request: FastifyRequest,
  reply: FastifyReply,
  intake: FileIntake<Fields>,
  use: (received: ReceivedForm<z.infer<Fields>>) => Promise<T>,
): Promise<T> {
  const limits = { maxFiles: maxBatchFiles, priority: 'batch' } as const;
  return withForm(dependencies, request, reply, { ...intake, ...limits }, use);
}

async function withForm<Fields extends z.ZodObject, T>(
  { config, detections }: RouteDependencies,
  request: FastifyRequest,
  reply: FastifyReply,
  {
    fileFields,
    fields: schema,
    maxFiles,
    priority,
  }: FileIntake<Fields> & { readonly maxFiles: number; readonly priority: Priority },
  use: (received: ReceivedForm<z.infer<Fields>>) => Promise<T>,
): Promise<T> {
  detections.refuseEarly(request, maxFiles);
  const exchange = beginExchange(request, reply, { ...config, priority });
  return detections.withMultipart(request, { fileFields, maxFiles }, ({ media, fields }) =>
    use({ exchange, media, fields: validated(schema, Object.fromEntries(fields), 'field') }),
  );
}

/** @throws ServiceError invalid_request */
export function validated<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  part: string,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) throw invalidRequest(result.error, part);
  return result.data;
}
