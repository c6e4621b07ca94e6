import { stringify } from 'yaml';
import { customResourceDefinition } from './crd.ts';
import { deepfakeModelDefinition } from './deepfake-model.ts';
import { modelDeploymentDefinition } from './model-deployment.ts';
import { GROUP } from './names.ts';

/** File name in crds/ and its text, for every kind. */
export function crdFiles(): ReadonlyMap<string, string> {
  const definitions = [deepfakeModelDefinition, modelDeploymentDefinition];
  return new Map(
    definitions.map((definition) => [
      `${GROUP}_${definition.plural}.yaml`,
      `# Generated from operator/api by "npm run codegen".\n${stringify(customResourceDefinition(definition), { lineWidth: 0, aliasDuplicateObjects: false })}`,
    ]),
  );
}
