/** The command line of hack/tensors: what graphs take of media files, as raw numbers beside each other. */
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { openFaceFinder } from '../../inference/faces/finder.ts';
import { pipelineSchema } from '../../inference/models/pipeline-parameters.ts';
import { followedPoints, type Recorded, recorded } from './tensors/recording.ts';

const USAGE = `usage: hack/tensors < requests
  a request is a line {"file": PATH, "out": PREFIX, "pipeline": {…}} or {"file": PATH, "out": PREFIX, "mesh": {"rate": 25}}; an answer is a line
  {"file", "reasons", "signals", "tensors": {NAME: {"path": PREFIX.NAME.bin, "shape": [items, …], "type": "uint8" | "float32"}}} or {"file", "error"}
  pipeline  of a model.yaml; numbers that are all whole and in 0..255 are written as uint8
  mesh      the main face instead, frame by frame: 468 points x, y, z in pixels of the file, NaN where it is not seen`;

const requestSchema = z.union([
  z.strictObject({ file: z.string(), out: z.string(), pipeline: pipelineSchema }),
  z.strictObject({
    file: z.string(),
    out: z.string(),
    mesh: z.strictObject({ rate: z.number().positive() }),
  }),
]);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { help: { type: 'boolean' } } });
  if (values.help) return console.log(USAGE);
  const options = { device: 'cpu', intraOpThreads: 2 } as const;
  const opened = { finder: undefined as ReturnType<typeof openFaceFinder> | undefined };
  const finder = () => {
    opened.finder ??= openFaceFinder(options);
    return opened.finder;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const request = requestSchema.parse(JSON.parse(line));
    console.log(JSON.stringify({ file: request.file, ...(await answered(request, finder)) }));
  }
}

/** A file that the pod refuses is an answer, too. */
async function answered(
  request: z.infer<typeof requestSchema>,
  finder: () => ReturnType<typeof openFaceFinder>,
): Promise<object> {
  try {
    if ('mesh' in request) {
      const points = await followedPoints(request.file, await finder(), request.mesh.rate);
      return { reasons: [], signals: {}, tensors: { mesh: await written(request.out, 'mesh', points) } };
    }
    const { graphs, findings } = await recorded(request.file, request.pipeline, finder);
    const tensors: Record<string, object> = {};
    for (const [name, given] of Object.entries(graphs))
      tensors[name] = await written(request.out, name, given);
    return { reasons: findings.inconclusiveReasons, signals: findings.signals, tensors };
  } catch (error) {
    if (error instanceof Error) return { error: error.message };
    throw error;
  }
}

async function written(prefix: string, name: string, { itemShape, items }: Recorded): Promise<object> {
  const path = `${prefix}.${name}.bin`;
  const isBytes = items.every((item) => item.every((value) => value >= 0 && value <= 255 && value % 1 === 0));
  const arrays = isBytes ? items.map((item) => Uint8Array.from(item)) : items;
  await writeFile(
    path,
    Buffer.concat(arrays.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))),
  );
  return { path, shape: [items.length, ...itemShape], type: isBytes ? 'uint8' : 'float32' };
}

await main();
