/** The command line and the environment of `fetch`. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { messageOf, StartupError } from '../../errors.ts';
import { sourceSchema } from './source.ts';
import type { Credentials } from './sources/remote.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256:<64 hex>');
const bytesSchema = z.coerce.number().int().positive();
const portSchema = z.coerce.number().int().min(1).max(65_535);
const defaultMaxBytes = 10 * 1024 ** 3;

export type FetchArguments = ReturnType<typeof readArguments>;

/** @throws StartupError */
export function readArguments(args: readonly string[], env: Environment) {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        source: { type: 'string' },
        destination: { type: 'string', default: '/models' },
        digest: { type: 'string' },
        'max-bytes': { type: 'string', default: String(defaultMaxBytes) },
        'progress-port': { type: 'string' },
        repair: { type: 'boolean', default: true },
        result: { type: 'string', default: '/dev/termination-log' },
      },
    });
    return {
      source: sourceSchema.parse(JSON.parse(values.source ?? 'null')),
      destination: values.destination,
      digest: digestSchema.optional().parse(values.digest),
      maxBytes: bytesSchema.parse(values['max-bytes']),
      progressPort: portSchema.optional().parse(values['progress-port']),
      repair: values.repair,
      result: values.result,
      modelsDirectory: env['MODELS_DIR'] || './models',
      credentials: credentialsOf(env),
    };
  } catch (error) {
    const text = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s+/g, ' ') : messageOf(error);
    throw new StartupError(
      `fetch: ${text}; give --source '{"builtin":{"name":…}}' or one of http, s3, huggingFace, oci, pvc and configMap, and see --digest, --destination, --max-bytes, --no-repair, --progress-port, --result`,
      2,
      { cause: error },
    );
  }
}

function credentialsOf(env: Environment): Credentials {
  // Secrets often end in the newline of the file that they were made from.
  const value = (name: string) => env[name]?.trim() || undefined;
  const accessKeyId = value('AWS_ACCESS_KEY_ID');
  const secretAccessKey = value('AWS_SECRET_ACCESS_KEY');
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw new Error('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only make sense together');
  return {
    authorization: value('SOURCE_AUTHORIZATION'),
    s3:
      accessKeyId === undefined || secretAccessKey === undefined
        ? undefined
        : { accessKeyId, secretAccessKey, sessionToken: value('AWS_SESSION_TOKEN') },
    huggingFaceToken: value('HF_TOKEN'),
    dockerConfig: env['DOCKER_CONFIG'] || undefined,
  };
}
