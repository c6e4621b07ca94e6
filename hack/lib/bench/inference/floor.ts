/**
 * What a request cannot do without: decoding the photographs to the graph's input size and running the graph, each alone, in this process.
 * Prints `{"decodeMs", "graphMs"}`: CPU milliseconds for one photograph. Arguments: GRAPH.onnx PHOTOGRAPH...
 */
import '../../../../inference/engine/no-telemetry.ts';
import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

const side = 224;
const rounds = 3;

async function cpuMsPer(count: number, work: () => Promise<void>): Promise<number> {
  await work();
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / rounds / count;
}

const [graph = '', ...paths] = process.argv.slice(2);
const photographs = await Promise.all(paths.map((path) => readFile(path)));
sharp.cache(false);
sharp.concurrency(1);
const decodeMs = await cpuMsPer(photographs.length, async () => {
  for (const bytes of photographs) {
    await sharp(bytes)
      .resize(side, side, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
      .removeAlpha()
      .raw()
      .toBuffer();
  }
});
const session = await InferenceSession.create(graph, {
  intraOpNumThreads: 2,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const pixels = new Tensor('float32', new Float32Array(3 * side * side).fill(0.5), [1, 3, side, side]);
const graphMs = await cpuMsPer(photographs.length, async () => {
  for (const _ of photographs) await session.run({ pixels });
});
console.log(JSON.stringify({ decodeMs, graphMs }));
