"""Cardinal: ResNeXt image classifiers on any vendor's GPU through Vulkan.

    import cardinal_vk as cardinal
    with cardinal.Device() as device, cardinal.Model("model.safetensors") as model:
        session = cardinal.Session(device, model)
        print(session.classify("picture.jpg"))

The package calls the shared library libcardinal by ctypes, and needs NumPy; Pillow reads picture files. The library is
$CARDINAL_LIBRARY, else what lies in the package's folder (a wheel), else the system's. Python's lock is released during its
calls. Failures raise Error with the library's message; warnings go to the logger "cardinal_vk".

Closing is by close(), a `with` block, or the last reference's end. A Device and a Model may be used by any number of threads;
calls of a Session or a Trainer by several threads wait for each other.
"""
from ._c import lib as _lib
from ._core import Error, Result
from ._device import Device, DeviceInfo, Peaks, devices
from ._model import Model, ModelInfo, architectures
from ._pictures import Picture
from ._session import Class, Region, Results, Session, SessionInfo, Timing
from ._trainer import Trainer, TrainerInfo, TrainResult, train_order

__version__: str = _lib.cdl_version().decode()

__all__ = ["Class", "Device", "DeviceInfo", "Error", "Model", "ModelInfo", "Peaks", "Picture", "Region", "Result", "Results",
           "Session", "SessionInfo", "Timing", "TrainResult", "Trainer", "TrainerInfo", "architectures", "devices",
           "train_order"]
