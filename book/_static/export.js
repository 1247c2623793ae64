// A chart as a file: the picture that the page shows, with its title, and colours that hold outside of the page.
(function () {
  "use strict";
  const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  function broken(words, size, width, family) {
    const pen = document.createElement("canvas").getContext("2d"), lines = [""];
    pen.font = size + "px " + family;
    words.split(" ").forEach(function (w) {
      const last = lines[lines.length - 1], longer = last ? last + " " + w : w;
      if (last && pen.measureText(longer).width > width) lines.push(w); else lines[lines.length - 1] = longer;
    });
    return lines;
  }
  // Returns an SVG file of a drawn chart under its title and subtitle.
  window.dlPicture = function (svg, heads, family) {
    const style = getComputedStyle(document.body), ink = style.color;
    const width = Number(svg.getAttribute("width")), lines = [];
    heads.forEach(function (words, i) {
      if (words) broken(words, i ? 13 : 15, width - 16, family).forEach(function (line) { lines.push([line, i]); });
    });
    const top = 20 * lines.length + 12, height = Number(svg.getAttribute("height")) + top;
    const drawn = new XMLSerializer().serializeToString(svg)
      .replace(/var\((--[\w-]+)\)/g, function (_, name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); })
      .replace(/currentColor/g, ink)
      .replace(/url\([^)]*#/g, "url(#") // colour scales and clips are named by the page's address
      .replace(/<svg /, '<svg y="' + top + '" ');
    const text = lines.map(function (l, i) {
      const words = l[0].replace(/[&<>]/g, function (c) { return ENTITIES[c]; });
      return '<text x="8" y="' + 20 * (i + 1) + '" font-size="' + (l[1] ? 13 : 15) + '" font-weight="' + (l[1] ? 400 : 600) + '">' + words + "</text>";
    }).join("");
    return '<svg xmlns="http://www.w3.org/2000/svg" width="' + width + '" height="' + height + '" viewBox="0 0 ' + width + " " + height + '">' +
      '<rect width="100%" height="100%" fill="' + style.backgroundColor + '"/><g fill="' + ink + '" font-family="' + family.replace(/"/g, "'") + '">' +
      text + "</g>" + drawn + "</svg>";
  };
  // Returns a promise of a PNG of an SVG, twice as large.
  window.dlPixels = function (source) {
    return new Promise(function (resolve, reject) {
      const image = new Image();
      image.onload = function () {
        const canvas = document.createElement("canvas");
        canvas.width = 2 * image.width; canvas.height = 2 * image.height;
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob(resolve, "image/png");
      };
      image.onerror = reject;
      image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
    });
  };
})();
