// The plot of the alarm rate, by uPlot (vendor/README.md).

import uPlot from "./vendor/uPlot.esm.js";

const HEIGHT = 240;
// Alarms per 10 minutes (EEMUA 191, IEC 62682): acceptable, and the most that can be managed.
const ACCEPTABLE = 1;
const MANAGEABLE = 2;

/** Plot `series` ([{at, raised}]) in an element; returns {destroy()}. */
export function rateChart(element, series) {
  const at = series.map((each) => Date.parse(each.at) / 1000);
  const constant = (value) => at.map(() => value);
  const data = [at, series.map((each) => each.raised), constant(ACCEPTABLE), constant(MANAGEABLE)];
  const plot = new uPlot(options(element), data, element);
  const sizing = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
  sizing.observe(element);
  return {
    destroy() {
      sizing.disconnect();
      plot.destroy();
    },
  };
}

function options(element) {
  const ink = colour("--ink");
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui" };
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    // Leave room for the limits even while all is quiet.
    scales: { y: { range: (_, __, most) => [0, Math.max(MANAGEABLE * 1.5, most * 1.05)] } },
    axes: [axis, { ...axis, size: 56 }],
    series: [
      {},
      { label: "raised", fill: colour("--accent"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.85, 40], align: 1 }) },
      { label: "acceptable", stroke: ink, width: 1.5, dash: [6, 5], points: { show: false } },
      { label: "manageable", stroke: ink, width: 1.5, points: { show: false } },
    ],
  };
}

// A canvas needs the computed colour: read it from an element that uses the property.
function colour(property) {
  const probe = document.createElement("i");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
