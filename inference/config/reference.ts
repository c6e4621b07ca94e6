/** The text of docs/configuration.md, from the schema's own words. */
import { keyOf } from './keys.ts';
import { variables } from './variables.ts';

const introduction = `<!-- Generated from inference/config by "npm run codegen". -->
# Configuration of the inference pod

A value comes from the environment, before \`.env\` (\`--env-file FILE\`; \`./.env\` where there is one), before \`config.yaml\`
(\`--config FILE\` or \`CONFIG_FILE\`; \`./config.yaml\` where there is one). An empty value counts as absent.

In YAML a variable has its name in camelCase, cut into sections between words wherever one likes: \`maxUploadBytes: 1000000\` and
\`max: {uploadBytes: 1000000}\` are both \`MAX_UPLOAD_BYTES\`. A list may be a YAML sequence; elsewhere it is separated by commas or a JSON
array of strings. An unknown key is an error that names the nearest one.

\`serve --check-config\` reads all of it, then verifies the model packages, starts nothing, and exits with 0, or with 2 after every problem of the
configuration in one line, or one line for each package that cannot be served.
\`serve --print-config\` prints the values in effect as YAML, each with its source; secrets are masked.

| Variable | In YAML | Default | |
|---|---|---|---|
`;

const conclusion = `
The exporter of traces itself reads what else OpenTelemetry defines for it (\`OTEL_EXPORTER_OTLP_HEADERS\`, \`_TIMEOUT\`, \`_COMPRESSION\`), from
the environment only. \`TERMINATION_MESSAGE_PATH\` (/dev/termination-log) receives what is wrong with a package, where that file exists.
\`NODE_COMPILE_CACHE\` is the folder of compiled code that the next start finds; without it, a folder for temporary files.
`;

export function configurationReference(): string {
  const rows = variables.map(({ name, description, fallback, fileVariable }) => {
    const names = fileVariable === undefined ? `\`${name}\`` : `\`${name}\`, \`${fileVariable}\``;
    const secrecy =
      fileVariable === undefined ? '' : ' A secret; the second name is that of a file that holds it.';
    return `| ${names} | \`${keyOf(name)}\` | ${fallback ?? ''} | ${description}${secrecy} |\n`;
  });
  return introduction + rows.join('') + conclusion;
}
