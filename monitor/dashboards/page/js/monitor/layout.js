// Loaded into Visdom's page before Visdom's own script.
(function () {
  'use strict';

  // Arrange the windows of a run in columns that fill the page, in the order that each window has, also on a page that
  // was open before they came. Once the user has moved or resized a window, the arrangement is the user's; the button
  // "Repack" makes it this one again. Windows of other programs, which have no order, are left alone.
  var MARGIN = 10; // pixels, as in Visdom's page
  var ROW = 15; // a row of the grid and its margin, in pixels
  var BAR = 14; // the bar of a window
  var COLUMN = 400; // the least width of a column
  var LOOK_AHEAD = 4; // so many windows may be placed before one that leaves a gap
  var DEFAULT = { plot: [410, 300], text: [300, 300], image: [400, 320] };

  function key(app) {
    return 'monitor arranged ' + app.state.envID;
  }

  function isRun(app) {
    var panes = Object.values(app.state.panes);
    return app.state.envIDs.length === 1 && app.state.layoutID === 'current'
      && panes.some(function (pane) { return Number.isInteger(pane.order); });
  }

  function isOurs(app) {
    return isRun(app) && !localStorage.getItem(key(app));
  }

  // Return the ratio of height to width of the picture that a window shows, and what is below it, such as a slider.
  function picture(pane, size) {
    if (/^image/.test(pane.type)) return { isImage: true, ratio: (size[1] - BAR) / size[0], below: BAR };
    var layout = (pane.type === 'plot' && pane.content && pane.content.layout) || {};
    var shown = (layout.images || []).filter(function (own) { return own.sizex > 0 && own.sizey > 0; }).pop();
    if (!shown || !layout.xaxis || layout.xaxis.visible !== false) return { isImage: false };
    return { isImage: true, ratio: shown.sizey / shown.sizex, below: (layout.margin && layout.margin.b) || 0 };
  }

  // Put new windows below all others; Visdom's page puts them where it guesses that the others end.
  function append(app, names) {
    var isNew = function (own) { return names.indexOf(own.i) >= 0; };
    var layout = app.state.layout;
    var bottom = layout.reduce(function (most, own) { return isNew(own) ? most : Math.max(most, own.y + own.h); }, 0);
    app.updateLayout(layout.map(function (own) {
      if (!isNew(own)) return own;
      var placed = Object.assign({}, own, { x: 0, y: bottom });
      bottom += own.h;
      return placed;
    }));
  }

  // Return the windows with their place: the column, the number of columns, and top and height in rows of the grid.
  function placed(windows, width) {
    var most = Math.max(1, Math.floor(width / COLUMN));
    var spanOf = function (own, columns) {
      var column = (width - 2 * MARGIN + MARGIN) / columns;
      return Math.min(columns, Math.max(1, Math.round((own.width + MARGIN) / column)));
    };
    var needed = windows.reduce(function (sum, own) { return sum + spanOf(own, most); }, 0);
    var columns = Math.max(1, Math.min(most, needed));
    var step = (width - MARGIN) / columns; // a column and its margin
    var tops = new Array(columns).fill(0);
    var best = function (own) {
      var found = null;
      for (var at = 0; at + own.span <= columns; at++) {
        var covered = tops.slice(at, at + own.span);
        var top = Math.max.apply(null, covered);
        var gap = covered.reduce(function (sum, other) { return sum + top - other; }, 0);
        if (!found || top < found.top || (top === found.top && gap < found.gap)) found = { at: at, top: top, gap: gap };
      }
      return found;
    };
    var waiting = windows.map(function (own) {
      var span = spanOf(own, columns);
      var pixels = span * step - MARGIN;
      var height = own.isImage ? pixels * own.ratio + own.below : own.height;
      return { id: own.id, span: span, isImage: own.isImage, rows: Math.ceil((height + BAR + MARGIN) / ROW) };
    });
    var result = [];
    while (waiting.length) {
      var chosen = 0;
      var place = best(waiting[0]);
      for (var ahead = 1; place.gap && ahead < Math.min(LOOK_AHEAD, waiting.length); ahead++) {
        var other = best(waiting[ahead]);
        if (!other.gap) {
          chosen = ahead;
          place = other;
        }
      }
      var own = waiting.splice(chosen, 1)[0];
      for (var at = place.at; at < place.at + own.span; at++) tops[at] = place.top + own.rows;
      result.push({ id: own.id, column: place.at, span: own.span, top: place.top, rows: own.rows, step: step,
        isImage: own.isImage });
    }
    result.forEach(function (own) { // where nothing else has room beside it, a window is wider; a picture would not be
      var isFree = function (column) {
        return column < columns && !result.some(function (other) {
          return other.column <= column && column < other.column + other.span
            && other.top < own.top + own.rows && own.top < other.top + other.rows;
        });
      };
      while (!own.isImage && isFree(own.column + own.span)) own.span++;
    });
    return result;
  }

  function arrange(app) {
    var sizes = {}; // by window: the size that it was sent with
    var relayout = app.relayout;
    var process = app.processBatchedPanes;
    var close = app.closePane;
    var position = function (pane) { return Number.isInteger(pane.order) ? pane.order : pane.i; };

    app.relayout = function () {
      if (!isOurs(app)) return relayout.apply(app, arguments);
      var filter = app.getValidFilter(app.state.filter);
      var isShown = function (pane) { return pane.title.match(filter) !== null; };
      var panes = Object.values(app.state.panes).sort(function (one, other) {
        return isShown(other) - isShown(one) || position(one) - position(other);
      });
      var windows = panes.map(function (pane) {
        var size = sizes[pane.id] || DEFAULT[pane.type] || DEFAULT.image;
        return Object.assign({ id: pane.id, width: size[0], height: size[1] }, picture(pane, size));
      });
      var unit = app.colWidth() + MARGIN; // a column of the page's grid
      app.updateLayout(placed(windows, app.state.width).map(function (own) {
        var w = (own.span * own.step) / unit - 0.001; // so that rounding makes no two windows overlap
        return { i: own.id, x: (own.column * own.step) / unit, y: own.top, w: w, h: own.rows, width: w, height: own.rows,
          static: false };
      }));
    };

    app.processBatchedPanes = function () {
      var before = app.state.panes;
      var changes = app._pendingPanes.some(function (pane) {
        var known = before[pane.id]; // a picture that gets a slider needs room for it
        return !known || known.type !== pane.type || pane.width || pane.height;
      });
      app._pendingPanes.forEach(function (pane) {
        var default_ = DEFAULT[pane.type] || DEFAULT.image;
        if (pane.width || pane.height) sizes[pane.id] = [pane.width || default_[0], pane.height || default_[1]];
      });
      var added = app._pendingPanes.map(function (pane) { return pane.id; }).filter(function (id) {
        return !(id in before) && !localStorage.getItem(app.keyLS(id));
      });
      process.apply(app, arguments);
      if (changes && isOurs(app)) app.relayout();
      else if (added.length && isRun(app)) append(app, added);
    };

    // New windows wait for a tenth of a second; one that is closed meanwhile would come after all.
    app.closePane = function (id) {
      app._pendingPanes = app._pendingPanes.filter(function (pane) { return pane.id !== id; });
      return close.apply(app, arguments);
    };

    ['movePane', 'resizePane'].forEach(function (name) {
      var original = app[name];
      app[name] = function (layout, old, now) {
        var isSame = ['x', 'y', 'w', 'h'].every(function (side) { return old[side] === now[side]; });
        if (!isSame) localStorage.setItem(key(app), 'yes');
        return original.apply(app, arguments);
      };
    });

    // The grid moves windows up after the user has moved one, and the page has no part that learns that.
    app.handleLayoutChange = function (layout) {
      if (isRun(app) && !isOurs(app)) app.updateLayout(layout);
    };

    document.addEventListener('click', function (event) {
      var pressed = event.target.closest && event.target.closest('button');
      if (pressed && pressed.querySelector('.glyphicon-th')) localStorage.removeItem(key(app));
    }, true);
    app.forceUpdate();
  }

  // Visdom's page has React inside, so its application is found where React keeps it.
  document.addEventListener('DOMContentLoaded', function () {
    setTimeout(function () {
      var container = (document.getElementById('app') || {})._reactRootContainer;
      var root = container && (container._internalRoot || container);
      var app = root && root.current && root.current.child && root.current.child.stateNode;
      if (app && app.processBatchedPanes && app.relayout && app.updateLayout) arrange(app);
    });
  });
})();
