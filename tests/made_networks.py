"""Tiny ONNX networks with the inputs and outputs of RTMO, YOLOX and RTMPose, and known answers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save_network(path, size, outputs, watched=None):
    """Write a network that answers `outputs` (name -> array) whatever the picture (1, 3, H, W) is.

    `watched` (name, array): the array times the first channel's value at the middle of the picture is added to it.
    """
    height, width = size
    constants = {name: np.asarray(array) for name, array in outputs.items()}
    nodes, initializers = [], [numpy_helper.from_array(array, f"{name}_is") for name, array in constants.items()]
    for name in outputs:
        if watched and name == watched[0]:
            nodes += _middle(height // 2, width // 2, initializers)
            initializers.append(numpy_helper.from_array(np.asarray(watched[1], np.float32), "weight"))
            nodes.append(helper.make_node("Mul", ["middle", "weight"], ["seen"]))
            nodes.append(helper.make_node("Add", [f"{name}_is", "seen"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}_is"], [name]))
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info(n, kinds[a.dtype], list(a.shape)) for n, a in constants.items()],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _middle(y, x, initializers):
    for name, values in (("from", [0, y, x]), ("to", [1, y + 1, x + 1]), ("along", [1, 2, 3])):
        initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
    shape = numpy_helper.from_array(np.array([1], np.int64), "one")
    initializers.append(shape)
    return [
        helper.make_node("Slice", ["input", "from", "to", "along"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "one"], ["middle"]),
    ]
