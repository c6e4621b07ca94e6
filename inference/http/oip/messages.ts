/** The protocol's messages, as their schemas. */
import { z } from 'zod';
import { datatypes } from './datatypes.ts';

const maxTensors = 64;
const maxSides = 16;

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const shape = z.array(z.int().nonnegative()).max(maxSides);
const unsupported = z.undefined({ error: 'is not supported here' }).optional();

const requestInput = z.object({
  name: z.string().min(1),
  shape,
  datatype: z.enum(datatypes),
  parameters: z
    .looseObject({
      binary_data_size: z.int().nonnegative().optional(),
      content_type: z.string().optional(),
      shared_memory_region: unsupported,
    })
    .optional(),
  // Not an array of anything: a schema would be asked about every single element.
  data: z.unknown().optional().describe('A list, flat or nested; absent where the data are binary.'),
});

const requestedOutput = z.object({
  name: z.string().min(1),
  parameters: z
    .looseObject({
      binary_data: z.boolean().optional(),
      classification: unsupported,
      shared_memory_region: unsupported,
    })
    .optional(),
});

export const inferenceRequest = z.object({
  id: z.string().max(1024).optional(),
  parameters: z
    .looseObject({
      binary_data_output: z.boolean().optional(),
      timeout: z.int().positive().optional().describe('Microseconds that the inference may take.'),
      sequence_id: unsupported,
    })
    .optional(),
  inputs: z.array(requestInput).min(1).max(maxTensors),
  outputs: z.array(requestedOutput).max(maxTensors).optional(),
});

export type InferenceRequest = z.infer<typeof inferenceRequest>;
export type RequestInput = z.infer<typeof requestInput>;

export const inferenceAnswer = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(datatypes),
      shape,
      parameters: parameters.optional(),
      data: z.array(z.unknown()).optional(),
    }),
  ),
});

export const serverMetadata = z.object({
  name: z.string(),
  version: z.string(),
  extensions: z.array(z.string()),
});

const tensorMetadata = z.object({
  name: z.string(),
  datatype: z.enum(datatypes),
  shape: z.array(z.int().min(-1)).describe('-1 for a side of any length.'),
});

export const modelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(tensorMetadata),
  outputs: z.array(tensorMetadata),
});

export const serverLive = z.object({ live: z.boolean() });
export const serverReady = z.object({ ready: z.boolean() });
export const modelReady = z.object({ name: z.string(), ready: z.boolean() });

export const indexRequest = z.object({ ready: z.boolean().optional() }).nullish();
export const indexAnswer = z.array(
  z.object({ name: z.string(), version: z.string(), state: z.string(), reason: z.string() }),
);
export const unloadRequest = z.object({ parameters: z.record(z.string(), z.unknown()).optional() }).nullish();
export const loadRequest = z
  .object({
    parameters: z
      .strictObject({}, { error: 'a model is loaded as its package is: neither config nor files are taken' })
      .optional(),
  })
  .nullish();
export const emptyAnswer = z.object({});

const duration = z.object({ count: z.int(), ns: z.int() });

export const statisticsAnswer = z.object({
  model_stats: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      last_inference: z.int().describe('Milliseconds since 1970.'),
      inference_count: z.int().describe('Items (tiles, windows) that the graph computed.'),
      execution_count: z.int().describe('Calls of the graph.'),
      inference_stats: z.object({
        success: duration,
        fail: duration,
        queue: duration,
        compute_input: duration,
        compute_infer: duration,
        compute_output: duration,
        cache_hit: duration,
        cache_miss: duration,
      }),
      batch_stats: z.array(
        z.object({
          batch_size: z.int(),
          compute_input: duration,
          compute_infer: duration,
          compute_output: duration,
        }),
      ),
    }),
  ),
});

export const modelPath = z.object({ model: z.string() });
export const versionPath = modelPath.extend({ version: z.string() });
