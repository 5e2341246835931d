'use strict';
// The curves of a chart at once, without its axes, for the half second and more until Plotly is there.

function drawPreview(plot, { data: traces, layout }) {
  const [left, top] = [layout.margin.l, 8];
  const width = plot.clientWidth - left - layout.margin.r;
  const height = plot.clientHeight - top - layout.margin.b;
  const lines = traces.filter((trace) => !trace.meta.part && trace.x.length > 1);
  if (width <= 0 || height <= 0 || !lines.length) return;
  const [first, last] = boundsOf(lines.map((trace) => trace.x));
  let [low, high] = boundsOf(lines.map((trace) => trace.y));
  const space = (high - low || 1) / 18; // as Plotly leaves
  [low, high] = layout.yaxis.range || [low - space, high + space];

  const canvas = document.createElement('canvas');
  canvas.className = 'preview';
  canvas.style.cssText = `left:${left}px;top:${top}px;width:${width}px;height:${height}px`;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const context = canvas.getContext('2d');
  context.scale(devicePixelRatio, devicePixelRatio);
  context.lineJoin = 'round';
  for (const { x, y, line, opacity } of lines) {
    context.strokeStyle = line.color;
    context.lineWidth = line.width;
    context.globalAlpha = opacity ?? 1;
    context.beginPath();
    let isGap = true;
    x.forEach((step, at) => {
      const isMissing = y[at] === null;
      const place = [((step - first) / (last - first || 1)) * width, ((high - y[at]) / (high - low)) * height];
      if (!isMissing && isGap) context.moveTo(...place);
      else if (!isMissing) context.lineTo(...place);
      isGap = isMissing;
    });
    context.stroke();
  }
  plot.append(canvas);
}

function boundsOf(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}
