/** A reliability diagram as a small SVG. Pure. */
import type { Results } from './measurements.ts';

const side = 240;
const margin = 36;

/** Share of fakes over mean score, a dot for each bin, its area by how many files the bin holds; the diagonal is what calibrated scores do. */
export function reliabilityChart(title: string, bins: Results['reliability']): string {
  const x = (value: number) => round(margin + value * side);
  const y = (value: number) => round(margin + (1 - value) * side);
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const dots = bins.map(
    ({ score, fakes, count }) =>
      `<circle cx="${x(score)}" cy="${y(fakes)}" r="${round(2 + 10 * Math.sqrt(count / total))}"><title>${count} files: score ${score.toFixed(2)}, ${fakes.toFixed(2)} fake</title></circle>`,
  );
  const ticks = [0, 0.5, 1].flatMap((value) => [
    `<text x="${x(value)}" y="${margin + side + 14}" text-anchor="middle">${value}</text>`,
    `<text x="${margin - 6}" y="${round(y(value) + 4)}" text-anchor="end">${value}</text>`,
  ]);
  const size = side + 2 * margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" width="${size}" height="${size}" font-family="sans-serif" font-size="11" role="img">
<title>${title}: share of fakes over the mean score of each bin</title>
<rect width="${size}" height="${size}" fill="#fff"/>
<rect x="${margin}" y="${margin}" width="${side}" height="${side}" fill="none" stroke="#999"/>
<path d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}" stroke="#999" stroke-dasharray="4 3"/>
<text x="${size / 2}" y="20" text-anchor="middle">${title}</text>
<text x="${size / 2}" y="${size - 6}" text-anchor="middle">score</text>
<text transform="translate(11 ${size / 2}) rotate(-90)" text-anchor="middle">share of fakes</text>
${ticks.join('\n')}
<g fill="#1f77b4" fill-opacity="0.75">
${dots.join('\n')}
</g>
</svg>
`;
}

const round = (value: number) => Math.round(value * 10) / 10;
