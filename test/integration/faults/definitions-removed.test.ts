/** The definitions of our kinds are taken away under a running operator and installed again. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { customResourceDefinition } from '../../../operator/api/crd.ts';
import { deepfakeModelDefinition } from '../../../operator/api/deepfake-model.ts';
import { modelDeploymentDefinition } from '../../../operator/api/model-deployment.ts';
import { MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import type { Applied } from '../../../operator/runtime/object.ts';
import { CRD, DIGEST_A, eventually } from '../environment.ts';
import { deploy, Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

it('models that are used go with their definitions, and what is made after they came back is worked', async (t) => {
  const { client } = stage.environment;
  const { namespace, start } = await stage.scene(t);
  const operator = await start();
  await deploy(namespace);
  await stage.untilServed(namespace, DIGEST_A, 1);

  const definitions = [modelDeploymentDefinition, deepfakeModelDefinition].map(
    (definition) => customResourceDefinition(definition) as unknown as Applied,
  );
  for (const { metadata } of definitions) await client.delete(CRD, metadata);
  await eventually(
    'the definitions are gone',
    async () => {
      const left = await Promise.all(definitions.map(({ metadata }) => client.find(CRD, metadata)));
      return left.every((found) => found === undefined);
    },
    90_000,
  );

  for (const definition of definitions) await client.apply(CRD, definition, { fieldManager: 'test' });
  await eventually('they are served', () => client.list(MODEL_DEPLOYMENT));
  await eventually('there can be models', () => deploy(namespace).then(() => true));
  await stage.untilServed(namespace, DIGEST_A, 1);
  assert.ok(operator.ready());
});
